namespace BytePort.Cli.Packing;

/// <summary>The rules of .gitignore files (gitignore(5)): the last rule that matches decides, and what is below an ignored folder is ignored.</summary>
internal sealed class IgnoreRules
{
    private readonly List<Rule> _rules = [];

    /// <summary>Adds a file's rules behind the earlier ones.</summary>
    /// <param name="text">The file.</param>
    /// <param name="folder">Where the file is, relative to the root with <c>/</c> separators; empty for the root.</param>
    public void Add(string text, string folder)
    {
        foreach (var line in text.Split('\n'))
        {
            if (Parse(line.TrimEnd('\r'), folder) is { } rule)
                _rules.Add(rule);
        }
    }

    /// <summary>Whether the rules name this very path; its parents are asked before it.</summary>
    public bool Matches(string path, bool isFolder)
    {
        for (var i = _rules.Count - 1; i >= 0; i--)
        {
            if (_rules[i].Matches(path, isFolder))
                return !_rules[i].Negated;
        }

        return false;
    }

    /// <summary>Whether a file is left out, by its own name or a folder above it.</summary>
    public bool MatchesWithParents(string path)
    {
        for (var slash = path.IndexOf('/', StringComparison.Ordinal); slash >= 0; slash = path.IndexOf('/', slash + 1))
        {
            if (Matches(path[..slash], isFolder: true))
                return true;
        }

        return Matches(path, isFolder: false);
    }

    private static Rule? Parse(string line, string folder)
    {
        var text = TrimEnd(line);
        if (text.Length == 0 || text[0] == '#')
            return null;
        var negated = text[0] == '!';
        if (negated)
            text = text[1..];
        var foldersOnly = text.EndsWith('/');
        text = foldersOnly ? text[..^1] : text;
        var anchored = text.Contains('/', StringComparison.Ordinal);
        text = text.StartsWith('/') ? text[1..] : text;
        return text.Length == 0 ? null : new Rule(folder, text.Split('/'), anchored, foldersOnly, negated);
    }

    /// <summary>Spaces at the end do not count unless a backslash stands before them.</summary>
    private static string TrimEnd(string line)
    {
        var end = line.Length;
        while (end > 0 && line[end - 1] == ' ' && !(end > 1 && line[end - 2] == '\\'))
            end--;
        return line[..end];
    }

    private sealed record Rule(string Folder, string[] Parts, bool Anchored, bool FoldersOnly, bool Negated)
    {
        public bool Matches(string path, bool isFolder)
        {
            if (FoldersOnly && !isFolder)
                return false;
            if (Folder.Length > 0)
            {
                if (!path.StartsWith(Folder, StringComparison.Ordinal) || path.Length <= Folder.Length || path[Folder.Length] != '/')
                    return false;
                path = path[(Folder.Length + 1)..];
            }

            return Anchored
                ? MatchesParts(Parts, path.Split('/'))
                : Glob.Matches(Parts[0], path[(path.LastIndexOf('/') + 1)..]);
        }

        private static bool MatchesParts(ReadOnlySpan<string> pattern, ReadOnlySpan<string> path)
        {
            while (pattern.Length > 0)
            {
                if (pattern[0] == "**")
                {
                    // At the end everything inside matches, but not the folder itself.
                    if (pattern.Length == 1)
                        return path.Length > 0;
                    for (var skip = 0; skip <= path.Length; skip++)
                    {
                        if (MatchesParts(pattern[1..], path[skip..]))
                            return true;
                    }

                    return false;
                }

                if (path.Length == 0 || !Glob.Matches(pattern[0], path[0]))
                    return false;
                pattern = pattern[1..];
                path = path[1..];
            }

            return path.Length == 0;
        }
    }
}
