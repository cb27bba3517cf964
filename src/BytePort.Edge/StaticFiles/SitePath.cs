namespace BytePort.Edge.StaticFiles;

/// <summary>Paths of files in a site. Requests are only ever looked up in the index of such paths, never on the file system.</summary>
internal static class SitePath
{
    /// <summary>Linux's own limit for a path.</summary>
    public const int MaxLength = 4096;

    /// <summary>The path with one leading slash.</summary>
    /// <exception cref="ArgumentException">It is empty, too long, or has an empty, <c>.</c> or <c>..</c> segment or a control character.</exception>
    public static string Normalise(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        var rest = path.AsSpan();
        if (rest.StartsWith('/'))
            rest = rest[1..];
        if (rest.Length is 0 or > MaxLength)
            throw Invalid(path, $"a path has 1-{MaxLength} characters");
        foreach (var character in rest)
        {
            if (char.IsControl(character))
                throw Invalid(path, "it holds a control character");
        }

        foreach (var segment in rest.Split('/'))
        {
            if (rest[segment] is "" or "." or "..")
                throw Invalid(path, "it has an empty, \".\" or \"..\" segment");
        }

        return string.Concat("/", rest);
    }

    private static ArgumentException Invalid(string path, string why) =>
        new($"\"{(path.Length > 200 ? path[..200] + "…" : path)}\" cannot be a file of a site: {why}. Leave it out or rename it.", nameof(path));
}
