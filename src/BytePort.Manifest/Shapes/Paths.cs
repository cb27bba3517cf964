namespace BytePort.Manifest.Shapes;

/// <summary>Brings paths into one form, or refuses them.</summary>
internal static class Paths
{
    /// <summary>A relative folder without "." parts, "." for the root; null when it is absolute, leads out, or holds odd characters.</summary>
    public static string? NormalizeInside(string text)
    {
        if (text.StartsWith('/') || HasOddCharacters(text))
            return null;
        var parts = text.Split('/').Where(part => part is not ("" or ".")).ToList();
        return parts.Contains("..") ? null : parts.Count == 0 ? "." : string.Join('/', parts);
    }

    /// <summary>A URL path prefix without trailing or doubled slashes.</summary>
    public static string? NormalizeRoute(string text) =>
        text.All(c => c is > ' ' and <= '~' and not ('?' or '#' or '\\' or '%' or '*')) ? NormalizeAbsolute(text) : null;

    /// <summary>An absolute folder in a machine; the root itself is refused.</summary>
    public static string? NormalizeMountPoint(string text) =>
        !HasOddCharacters(text) && NormalizeAbsolute(text) is { Length: > 1 } path ? path : null;

    private static string? NormalizeAbsolute(string text)
    {
        var parts = text.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return !text.StartsWith('/') || parts.Any(part => part is "." or "..") ? null : "/" + string.Join('/', parts);
    }

    private static bool HasOddCharacters(string text) => text.Any(c => char.IsControl(c) || c == '\\');
}
