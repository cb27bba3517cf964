namespace BytePort.Builds.Sources;

/// <summary>Follows symbolic links on paper, so that no link has to exist before it is known to stay inside.</summary>
internal static class LinkRules
{
    // The kernel gives up after 40 links.
    private const int MaxLinks = 40;

    /// <summary>Why the link must not exist, or null when it stays inside the root, whatever chain it goes through.</summary>
    /// <param name="link">Path of the link, in normal form.</param>
    /// <param name="links">All links of the tree: path to target.</param>
    public static string? Problem(string link, IReadOnlyDictionary<string, string> links)
    {
        var here = new List<string>(link.Split('/')[..^1]);
        var rest = new Stack<string>();
        var followed = 0;
        var target = links[link];
        while (true)
        {
            if (target.Length == 0 || target.AsSpan().ContainsAny('\0', '\\', '\uFFFD'))
                return "its target is malformed";
            if (target[0] == '/')
                return $"it leads to '{EntryPath.Printable(target)}', an absolute path";
            if (++followed > MaxLinks)
                return "it leads to itself";
            foreach (var part in target.Split('/').Reverse())
                rest.Push(part);
            if (!Walk(here, rest, links, out var next))
                return $"it leads to '{EntryPath.Printable(links[link])}', which is outside of the source";
            if (next is null)
                return null;
            target = next;
        }
    }

    /// <summary>Goes on until a link is met (its target is given) or nothing is left (null); false when the root is left.</summary>
    private static bool Walk(List<string> here, Stack<string> rest, IReadOnlyDictionary<string, string> links, out string? target)
    {
        target = null;
        while (rest.TryPop(out var part))
        {
            if (part is "" or ".")
                continue;
            if (part == "..")
            {
                if (here.Count == 0)
                    return false;
                here.RemoveAt(here.Count - 1);
                continue;
            }

            here.Add(part);
            if (links.TryGetValue(string.Join('/', here), out target))
            {
                here.RemoveAt(here.Count - 1);
                return true;
            }
        }

        return true;
    }
}
