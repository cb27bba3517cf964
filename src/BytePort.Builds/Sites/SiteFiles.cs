using BytePort.Builds.Logs;

namespace BytePort.Builds.Sites;

/// <param name="Path">As visitors ask for it: relative, <c>/</c> between names.</param>
internal sealed record SiteFile(string Path, string FullPath);

/// <summary>Finds the files of a folder that may be served.</summary>
internal static class SiteFiles
{
    private const int MaxNamed = 5;

    /// <summary>
    /// Regular files, and links to files inside the folder. Left out, with one line in the log: names that begin with a
    /// dot (they hold secrets and repositories) except <c>.well-known</c>, <c>node_modules</c>, the manifest, links to folders.
    /// </summary>
    /// <exception cref="SiteException">A link points out of the folder.</exception>
    public static IReadOnlyList<SiteFile> Find(string folder, BuildLog log)
    {
        // The folder may itself be reached by a link (Next's "out", for example): only what is below must stay below.
        var root = ResolveLinks(Path.GetFullPath(folder));
        var files = new List<SiteFile>();
        var skipped = new List<string>();
        Walk(new DirectoryInfo(root), "", root, files, skipped);
        if (skipped.Count > 0)
        {
            var named = string.Join(", ", skipped.Order(StringComparer.Ordinal).Take(MaxNamed));
            log.Write($"Not served: {named}{(skipped.Count > MaxNamed ? $" and {skipped.Count - MaxNamed} more" : "")} (hidden files, node_modules, byteport.yaml).");
        }

        return files;
    }

    private static void Walk(DirectoryInfo folder, string prefix, string root, List<SiteFile> files, List<string> skipped)
    {
        foreach (var entry in folder.EnumerateFileSystemInfos())
        {
            var path = prefix + entry.Name;
            var isFolder = entry is DirectoryInfo;
            if (IsHidden(entry.Name, prefix, isFolder))
            {
                skipped.Add(path);
            }
            else if (entry.LinkTarget is not null)
            {
                var target = ResolveLinks(entry.FullName);
                if (!target.StartsWith(root + "/", StringComparison.Ordinal))
                    throw new SiteException($"'{path}' is a link to '{entry.LinkTarget}', which is outside of the folder that is served. Copy the file there instead.", isMissing: false);
                if (IsRegular(target))
                    files.Add(new SiteFile(path, target));
                else
                    skipped.Add(path);
            }
            else if (isFolder)
            {
                Walk((DirectoryInfo)entry, path + "/", root, files, skipped);
            }
            else if (IsRegular(entry.FullName))
            {
                files.Add(new SiteFile(path, entry.FullName));
            }
            else
            {
                skipped.Add(path);
            }
        }
    }

    private static bool IsHidden(string name, string prefix, bool isFolder) =>
        (name.StartsWith('.') && name != ".well-known")
        || (isFolder && name == "node_modules")
        || (prefix.Length == 0 && name is "byteport.yaml" or "byteport.yml");

    // Fifos and devices never get here: source and build output come through the extractor, which refuses them.
    private static bool IsRegular(string path) => File.Exists(path);

    private static string ResolveLinks(string path)
    {
        // Each component may be a link: realpath(3), which the framework offers only for the last one.
        var resolved = "/";
        var rest = new Stack<string>(path.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse());
        for (var steps = 0; rest.TryPop(out var name); steps++)
        {
            if (steps > 4096)
                throw new SiteException($"'{path}' is a link to itself.", isMissing: false);
            if (name is "." or "")
                continue;
            if (name == "..")
            {
                resolved = Path.GetDirectoryName(resolved) ?? "/";
                continue;
            }

            var next = Path.Combine(resolved, name);
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                resolved = next;
                continue;
            }

            if (target.StartsWith('/'))
                resolved = "/";
            foreach (var part in target.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse())
                rest.Push(part);
        }

        return resolved;
    }
}
