using System.Text.Json;
using System.Text.RegularExpressions;
using BytePort.Manifest;

namespace BytePort.Builds.Detection;

/// <summary>Services with a package.json.</summary>
internal static partial class NodeDetection
{
    private static readonly string[] Entries = ["server.js", "server.mjs", "index.js", "index.mjs", "app.js", "main.js", "src/server.js", "src/index.js"];

    /// <summary>Null when the folder has no package.json or it names nothing to build or start.</summary>
    /// <exception cref="DetectionException">package.json is malformed.</exception>
    public static Detected? Detect(ServiceFolder folder, string where, bool isStartGiven, bool isStatic)
    {
        if (folder.Read("package.json") is not { } text)
            return null;
        PackageJson package;
        try
        {
            package = PackageJson.Parse(text);
        }
        catch (JsonException e)
        {
            throw new DetectionException(DetectionErrors.Invalid, [$"{where}package.json: {e.Message}"]);
        }

        var manager = PackageManager.Choose(folder, package);
        var (stack, versionNote) = NodeVersion.Choose(folder, package);
        var needsInstall = package.Dependencies.Count + package.DevDependencies.Count > 0;
        var build = package.Scripts.ContainsKey("build") ? $"{manager.Run} build" : null;
        var common = new Detected
        {
            Kind = ServiceKind.Web,
            Stack = stack,
            InstallCommand = needsInstall ? manager.Install : null,
            InstallForRunCommand = needsInstall ? manager.InstallForRun : null,
            BuildCommand = build,
            PruneCommand = build is not null && package.DevDependencies.Count > 0 ? manager.Prune : null,
            Notes = needsInstall ? [versionNote, manager.Note] : [versionNote],
        };
        if (isStartGiven)
            return common;

        var framework = Frameworks.Static(folder, package);
        var start = isStatic ? null : Start(folder, package, manager, framework);
        if (start is { } server)
            return common with { StartCommand = server.Command, Notes = [.. common.Notes, server.Note] };
        if (build is null)
            return null;
        return framework is not null
            ? common with
            {
                Kind = ServiceKind.Static,
                Output = framework.Output,
                Spa = framework.Spa,
                PruneCommand = null,
                Notes = [.. common.Notes, $"Static files in '{framework.Output}' because it is a {framework.Name} project with a build script{(framework.Spa ? "; unknown paths give index.html because it routes in the browser" : "")}."],
            }
            : common with
            {
                Kind = ServiceKind.Static,
                Output = "dist",
                PruneCommand = null,
                Notes = [.. common.Notes, "Static files in 'dist' because package.json has a build script and nothing to start; set output in byteport.yaml when they are elsewhere."],
            };
    }

    private static (string Command, string Note)? Start(ServiceFolder folder, PackageJson package, PackageManager manager, Framework? framework)
    {
        if (package.Scripts.TryGetValue("start", out var script) && !(framework is not null && DevelopmentServer().IsMatch(script)))
        {
            // Without the package manager between, the stop signal reaches the program, and its memory is saved.
            var plain = script.Trim();
            return PlainNode().IsMatch(plain) && !package.Scripts.ContainsKey("prestart") && !package.Scripts.ContainsKey("poststart")
                ? (plain, $"Starts with '{plain}', the start script of package.json.")
                : ($"{manager.Run} start", $"Starts with '{manager.Run} start' because package.json has a start script.");
        }

        if (framework is not null)
            return null;
        if (Frameworks.Server(package) is { } server)
            return (server.Start, $"Starts with '{server.Start}' because it is a {server.Name} project.");
        var main = package.Main is { } named && PlainPath().IsMatch(named) && folder.Has(named) ? named : null;
        var entry = folder.FirstOf("server.js", "server.mjs") ?? main ?? folder.FirstOf(Entries);
        return entry is null ? null : ($"node {entry}", $"Starts with 'node {entry}' because there is no start script and that file is there.");
    }

    [GeneratedRegex(@"^node( [\w@./=:-]+)+$")]
    private static partial Regex PlainNode();

    [GeneratedRegex(@"^[\w@-][\w@./-]*\.[cm]?js$")]
    private static partial Regex PlainPath();

    [GeneratedRegex(@"^(npx )?(vite|react-scripts start|ng serve|astro|vue-cli-service serve|next dev|parcel|serve|gatsby|docusaurus|vitepress|eleventy|hexo|http-server|npm run (dev|preview|develop)|svelte-kit)\b")]
    private static partial Regex DevelopmentServer();
}
