using NanoVms.Commands;

namespace NanoVms.Images.Stacks;

/// <summary>Makes a root file system of Debian packages.</summary>
internal static class DebianRoot
{
    private const string MergedUsrHook = "/usr/share/mmdebstrap/hooks/merged-usr";

    /// <summary>
    /// Essential packages and the given ones, without documentation, translations and what only installing needs. The
    /// security suite is in: an image made later has its fixes.
    /// </summary>
    public static Command Command(DebianRecipe recipe, string folder)
    {
        List<string> arguments =
        [
            "--variant=essential",
            $"--include={string.Join(',', recipe.Packages)}",
            // The package usr-is-merged promises what this hook does; without it usrmerge would bring the whole of Perl.
            $"--hook-dir={MergedUsrHook}",
            "--aptopt=APT::Install-Recommends \"false\"",
            "--aptopt=Acquire::Languages \"none\"",
            "--aptopt=Acquire::Retries \"3\"",
            "--dpkgopt=force-unsafe-io",
        ];
        foreach (var path in (ReadOnlySpan<string>)["doc", "doc-base", "man", "info", "locale", "lintian", "linda", "bug", "groff"])
            arguments.Add($"--dpkgopt=path-exclude=/usr/share/{path}/*");
        arguments.AddRange(
        [
            "--format=directory",
            recipe.Suite,
            folder,
            $"deb http://deb.debian.org/debian {recipe.Suite} main",
            $"deb http://deb.debian.org/debian {recipe.Suite}-updates main",
            $"deb http://deb.debian.org/debian-security {recipe.Suite}-security main",
        ]);
        var environment = new Dictionary<string, string> { ["DEBIAN_FRONTEND"] = "noninteractive" };
        foreach (var proxy in (ReadOnlySpan<string>)["http_proxy", "https_proxy", "no_proxy"])
            if (Environment.GetEnvironmentVariable(proxy) is { Length: > 0 } value)
                environment[proxy] = value;
        return new Command("mmdebstrap", arguments) { Timeout = TimeSpan.FromMinutes(15), Environment = environment };
    }

    /// <summary>One of the recipe's commands, inside the root.</summary>
    public static Command Chroot(string folder, IReadOnlyList<string> command) =>
        new("chroot", [folder, .. command]) { Timeout = TimeSpan.FromMinutes(5), Environment = new Dictionary<string, string> { ["HOME"] = "/root" } };

    /// <summary>The account that services run as, and nothing that only the installation needed.</summary>
    public static void Finish(DebianRecipe recipe, string folder)
    {
        Append("etc/passwd", "app:x:1000:1000:app:/home/app:/bin/sh\n");
        Append("etc/group", "app:x:1000:\n");
        Append("etc/shadow", "app:!:19000:0:99999:7:::\n");
        foreach (var name in (ReadOnlySpan<string>)["app", "home/app"])
            GiveToApp(new DirectoryInfo(Path.Combine(folder, name)));
        foreach (var name in (IEnumerable<string>)["var/cache/debconf", "var/cache/apt", "var/lib/apt", "var/log", "var/lib/dpkg/info", .. recipe.Trim])
        {
            var path = Path.Combine(folder, name);
            if (Directory.Exists(path))
                Directory.Delete(path, recursive: true);
        }

        Directory.CreateDirectory(Path.Combine(folder, "var/log"));

        void Append(string name, string line) => File.AppendAllText(Path.Combine(folder, name), line);
    }

    private static void GiveToApp(DirectoryInfo folder)
    {
        folder.Create();
        FileOwner.Set(folder.FullName, 1000, 1000);
        foreach (var entry in folder.EnumerateFileSystemInfos())
        {
            // By hand, because the framework's recursion follows links.
            if (entry is DirectoryInfo { LinkTarget: null } below)
                GiveToApp(below);
            else
                FileOwner.Set(entry.FullName, 1000, 1000);
        }
    }
}
