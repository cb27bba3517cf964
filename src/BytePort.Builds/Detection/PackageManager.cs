namespace BytePort.Builds.Detection;

/// <summary>The commands of npm, pnpm or yarn, chosen by lock file.</summary>
/// <param name="InstallForRun">Without what only the build needs.</param>
/// <param name="Run">Runs a script of package.json; its name follows.</param>
internal sealed record PackageManager(string Name, string Install, string InstallForRun, string? Prune, string Run, string Note)
{
    public static PackageManager Choose(ServiceFolder folder, PackageJson package)
    {
        // packageManager is what Corepack would honour; the lock file is what the project was last installed with.
        var wanted = package.PackageManager is { } manager && manager.All(c => char.IsAsciiLetterOrDigit(c) || c is '@' or '.' or '-') ? manager : null;
        if (folder.Has("pnpm-lock.yaml"))
        {
            var pnpm = $"npx --yes {(wanted?.StartsWith("pnpm@", StringComparison.Ordinal) == true ? wanted : "pnpm@10")}";
            return new PackageManager(
                "pnpm",
                $"{pnpm} install --frozen-lockfile --prod=false",
                $"{pnpm} install --frozen-lockfile --prod",
                $"{pnpm} prune --prod",
                $"{pnpm} run",
                "pnpm because there is a pnpm-lock.yaml.");
        }

        if (folder.Has("yarn.lock"))
        {
            var isBerry = folder.Has(".yarnrc.yml") || (wanted?.StartsWith("yarn@", StringComparison.Ordinal) == true && !wanted.StartsWith("yarn@1", StringComparison.Ordinal));
            var yarn = isBerry
                ? $"npx --yes @yarnpkg/cli-dist{(wanted is null ? "" : wanted[4..])}"
                : "npx --yes yarn@1";
            return new PackageManager(
                "yarn",
                isBerry ? $"{yarn} install --immutable" : $"{yarn} install --frozen-lockfile --production=false",
                isBerry ? $"{yarn} install --immutable" : $"{yarn} install --frozen-lockfile --production=true",
                null,
                $"{yarn} run",
                "yarn because there is a yarn.lock.");
        }

        if (folder.FirstOf("package-lock.json", "npm-shrinkwrap.json") is { } lockFile)
            return new PackageManager(
                "npm", "npm ci --include=dev", "npm ci --omit=dev", "npm prune --omit=dev", "npm run", $"npm ci because there is a {lockFile}.");
        return new PackageManager(
            "npm",
            "npm install --include=dev",
            "npm install --omit=dev",
            "npm prune --omit=dev",
            "npm run",
            "npm install because there is no lock file; commit one so that every build has the same dependencies.");
    }
}
