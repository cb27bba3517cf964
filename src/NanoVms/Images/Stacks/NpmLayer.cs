using System.Globalization;

namespace NanoVms.Images.Stacks;

/// <summary>Makes a runtime's layer of npm packages: the runtime itself, and the manager that its release brings.</summary>
internal sealed class NpmLayer(NpmRegistry registry)
{
    public async Task MakeAsync(
        StackRecipe recipe, NpmPackage runtime, string work, string output, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var npm = recipe.Npm!;
        var manager = await ManagerForAsync(npm, runtime.Version, progress, cancellationToken);
        var runtimeFile = Path.Combine(work, "runtime.tgz");
        var managerFile = Path.Combine(work, "manager.tgz");
        await Task.WhenAll(
            NpmRegistry.DownloadAsync(runtime, runtimeFile, cancellationToken),
            NpmRegistry.DownloadAsync(manager, managerFile, cancellationToken));

        var local = Path.Combine(work, "root/usr/local");
        await NpmTarball.ExtractAsync(runtimeFile, path => path is "bin/node" or "LICENSE" ? Path.Combine(local, path == "LICENSE" ? "share/doc/node/LICENSE" : path) : null, cancellationToken);
        if (!File.Exists(Path.Combine(local, "bin/node")))
            throw new ImageException($"The package {runtime.Name}@{runtime.Version} holds no bin/node.");
        var module = $"lib/node_modules/{npm.Manager}";
        await NpmTarball.ExtractAsync(
            managerFile,
            path => path.StartsWith("docs/", StringComparison.Ordinal) || path.StartsWith("man/", StringComparison.Ordinal) ? null : Path.Combine(local, module, path),
            cancellationToken);
        foreach (var (command, script) in (ReadOnlySpan<(string, string)>)[("npm", "npm-cli.js"), ("npx", "npx-cli.js")])
        {
            var target = Path.Combine(local, module, "bin", script);
            if (!File.Exists(target))
                throw new ImageException($"The package {manager.Name}@{manager.Version} holds no bin/{script}.");
            File.SetUnixFileMode(target, File.GetUnixFileMode(target) | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
            File.CreateSymbolicLink(Path.Combine(local, "bin", command), $"../{module}/bin/{script}");
        }

        foreach (var file in recipe.Files)
            file.Write(Path.Combine(work, "root"));
        await LayerPacker.PackAsync(
            Path.Combine(work, "root"), output, new LayerOptions { Prefix = "", Compression = StackStore.Compression }, cancellationToken);
    }

    private async Task<NpmPackage> ManagerForAsync(NpmRecipe npm, SemanticVersion runtime, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var major = npm.Managers.GetValueOrDefault(runtime.Major.ToString(CultureInfo.InvariantCulture));
        if (!VersionRange.TryParse(major ?? "*", out var range))
            throw new InvalidOperationException($"The recipe's version '{major}' of {npm.Manager} is malformed.");
        var packages = await registry.GetVersionsAsync(npm.Manager, progress, cancellationToken);
        var fitting = packages.Where(package =>
            range.Contains(package.Version)
            && (package.Engine is null || !VersionRange.TryParse(package.Engine, out var engine) || engine.Contains(runtime)));
        return fitting.MaxBy(package => package.Version)
            ?? throw new ImageException($"The npm registry has no {npm.Manager} {major} that runs on Node {runtime}.");
    }
}
