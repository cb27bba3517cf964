using NanoVms.Images;

namespace BytePort.Builds.Detection;

/// <summary>Chooses the Node version, and says why.</summary>
internal static class NodeVersion
{
    public const string Default = "22";

    // Newest of the default's major: what a range that allows the default at all will contain.
    private static readonly SemanticVersion NewestDefault = new(22, 9999, 0);

    public static (string Stack, string Note) Choose(ServiceFolder folder, PackageJson package)
    {
        foreach (var (wanted, place) in Candidates(folder, package))
        {
            if (wanted.StartsWith("lts", StringComparison.OrdinalIgnoreCase) || wanted is "node" or "latest" or "current" or "stable")
                return ($"node@{wanted.ToLowerInvariant()}", $"Node {wanted} because {place} says so.");
            if (!VersionRange.TryParse(wanted, out var range))
                continue;
            // A range that is open upwards means "at least": the default is the tested choice within it.
            return range.Contains(NewestDefault)
                ? ($"node@{Default}", $"Node {Default} because {place} says \"{wanted}\".")
                : ($"node@{wanted}", $"Node \"{wanted}\" because {place} says so.");
        }

        return ($"node@{Default}", $"Node {Default} because neither package.json (engines), .nvmrc nor .node-version says otherwise.");
    }

    private static IEnumerable<(string Wanted, string Place)> Candidates(ServiceFolder folder, PackageJson package)
    {
        if (package.NodeVersion is { } engines)
            yield return (engines.Trim(), "package.json engines");
        foreach (var file in (string[])[".nvmrc", ".node-version"])
            if (folder.Read(file)?.Split('\n')[0].Trim() is { Length: > 0 } version)
                yield return (version, file);
    }
}
