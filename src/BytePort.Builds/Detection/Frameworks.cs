using System.Text.Json;

namespace BytePort.Builds.Detection;

/// <summary>What a framework's build leaves, by the package that brings it.</summary>
/// <param name="Package">In the dependencies of package.json.</param>
/// <param name="Output">Folder of its build by default.</param>
/// <param name="Spa">It routes in the browser: unknown paths need index.html.</param>
internal sealed record Framework(string Package, string Name, string Output, bool Spa = false);

internal static class Frameworks
{
    // The first that matches wins: a meta framework comes before the bundler it is built on.
    private static readonly Framework[] StaticFrameworks =
    [
        new("@docusaurus/core", "Docusaurus", "build"),
        new("vitepress", "VitePress", ".vitepress/dist"),
        new("gatsby", "Gatsby", "public"),
        new("astro", "Astro", "dist"),
        new("@11ty/eleventy", "Eleventy", "_site"),
        new("hexo", "Hexo", "public"),
        new("react-scripts", "Create React App", "build", Spa: true),
        new("@vue/cli-service", "Vue CLI", "dist", Spa: true),
        new("vite", "Vite", "dist"),
        new("parcel", "Parcel", "dist"),
    ];

    // With one of these, Vite's build is an application that routes in the browser more often than not.
    private static readonly string[] BrowserRouters =
        ["react", "vue", "svelte", "solid-js", "preact", "@angular/core"];

    /// <summary>The framework whose build gives static files, or null.</summary>
    public static Framework? Static(ServiceFolder folder, PackageJson package)
    {
        if (package.DependsOn("next"))
            return NextExports(folder) ? new Framework("next", "Next.js (output: export)", "out") : null;
        if (package.DependsOn("@sveltejs/kit"))
            return package.DependsOn("@sveltejs/adapter-static") ? new Framework("@sveltejs/kit", "SvelteKit (adapter-static)", "build") : null;
        if (package.DependsOn("nuxt"))
            return null;
        if (package.DependsOn("@angular/core") && folder.Read("angular.json") is { } angular)
            return AngularOutput(angular) is { } output ? new Framework("@angular/core", "Angular", output, Spa: true) : null;
        if (package.DependsOn("@astrojs/node"))
            return null;
        var framework = StaticFrameworks.FirstOrDefault(framework => package.DependsOn(framework.Package));
        return framework is { Package: "vite" } && BrowserRouters.Any(package.DependsOn) ? framework with { Spa = true } : framework;
    }

    /// <summary>The command that starts what a server framework built, or null.</summary>
    public static (string Name, string Start)? Server(PackageJson package) => package switch
    {
        _ when package.DependsOn("next") => ("Next.js", "node_modules/.bin/next start -H 0.0.0.0 -p $PORT"),
        _ when package.DependsOn("nuxt") => ("Nuxt", "node .output/server/index.mjs"),
        _ when package.DependsOn("@sveltejs/adapter-node") => ("SvelteKit (adapter-node)", "node build"),
        _ when package.DependsOn("@astrojs/node") => ("Astro (node)", "HOST=0.0.0.0 node dist/server/entry.mjs"),
        _ when package.DependsOn("@nestjs/core") => ("NestJS", "node dist/main"),
        _ => null,
    };

    private static bool NextExports(ServiceFolder folder) =>
        folder.FirstOf("next.config.js", "next.config.mjs", "next.config.ts", "next.config.cjs") is { } name
        && folder.Read(name) is { } config
        && config.Replace(" ", "", StringComparison.Ordinal) is var packed
        && (packed.Contains("output:'export'", StringComparison.Ordinal) || packed.Contains("output:\"export\"", StringComparison.Ordinal));

    /// <summary>angular.json names the folder; the application builder puts the browser's part below it.</summary>
    private static string? AngularOutput(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            var project = document.RootElement.GetProperty("projects").EnumerateObject().First();
            var build = project.Value.GetProperty("architect").GetProperty("build");
            var options = build.GetProperty("options");
            var folder = options.TryGetProperty("outputPath", out var path) && path.ValueKind == JsonValueKind.String
                ? path.GetString()!
                : $"dist/{project.Name}";
            return build.GetProperty("builder").GetString()?.EndsWith(":application", StringComparison.Ordinal) == true ? folder + "/browser" : folder;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null;
        }
    }
}
