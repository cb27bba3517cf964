using System.Buffers;
using System.Collections.Frozen;

namespace BytePort.Builds.Sites;

/// <summary>
/// Tells names that bundlers give (<c>index-BkX3f9_a.js</c>, <c>main.8f3e2a1b.chunk.css</c>) from those that people give.
/// A name taken for hashed by mistake would be cached for a year, one missed costs a conditional request: in doubt it is not.
/// </summary>
internal static class HashedNames
{
    private static readonly FrozenSet<string> AssetFolders = new[]
    {
        "assets", "static", "_astro", "_nuxt", "_app", "_next", "immutable", "chunks", "build", "dist",
        "js", "css", "media", "fonts", "img", "images", "entries", "nodes",
    }.ToFrozenSet(StringComparer.Ordinal);

    private static readonly SearchValues<char> HexadecimalDigits = SearchValues.Create("0123456789abcdef");

    private static readonly FrozenSet<string> ImmutableFolders =
        new[] { "_app/immutable/", "_next/static/" }.ToFrozenSet(StringComparer.Ordinal);

    /// <param name="path">Relative, <c>/</c> between names.</param>
    public static bool IsHashed(string path)
    {
        var name = path[(path.LastIndexOf('/') + 1)..];
        var extension = Path.GetExtension(name);
        if (extension.Length == 0 || extension is ".html" or ".htm")
            return false;
        if (ImmutableFolders.Any(folder => path.StartsWith(folder, StringComparison.Ordinal)))
            return true;

        var stem = Stem(name);
        var cut = stem.LastIndexOfAny(['.', '-']);
        if (cut > 0 && IsHexadecimalHash(stem.AsSpan(cut + 1)))
            return true;

        // Eight of base64url is what Vite, Rollup, Rolldown and esbuild append; the hash may itself hold a dash.
        var inAssets = path.Split('/')[..^1].Any(AssetFolders.Contains);
        var atRoot = !path.Contains('/', StringComparison.Ordinal) && extension is ".js" or ".css" or ".map";
        return (inAssets || atRoot) && stem.Length > 9 && stem[^9] is '-' or '.' && IsRandomText(stem.AsSpan(stem.Length - 8));
    }

    private static string Stem(string name)
    {
        var stem = name.EndsWith(".map", StringComparison.Ordinal) ? name[..^4] : name;
        stem = Path.GetFileNameWithoutExtension(stem);
        foreach (var suffix in (ReadOnlySpan<string>)[".chunk", ".bundle", ".min", ".worker", ".module"])
            if (stem.EndsWith(suffix, StringComparison.Ordinal))
                stem = stem[..^suffix.Length];
        return stem;
    }

    /// <summary>8 to 64 lower-case digits, with figures and letters mixed: dates and words such as "facade" are out.</summary>
    private static bool IsHexadecimalHash(ReadOnlySpan<char> text) =>
        text.Length is >= 8 and <= 64
        && !text.ContainsAnyExcept(HexadecimalDigits)
        && text.ContainsAnyInRange('0', '9')
        && text.ContainsAnyInRange('a', 'f')
        && !IsWordWithNumber(text);

    private static bool IsRandomText(ReadOnlySpan<char> text)
    {
        if (!text.ContainsAnyInRange('A', 'Z') || IsWordWithNumber(text))
            return false;
        foreach (var c in text)
            if (!char.IsAsciiLetterOrDigit(c) && c is not '-' and not '_')
                return false;
        return text.ContainsAnyInRange('0', '9') || (text.ContainsAnyInRange('a', 'z') && !IsWords(text));
    }

    /// <summary>"Version2", "chapter12", "V2": letters, then at most four figures.</summary>
    private static bool IsWordWithNumber(ReadOnlySpan<char> text)
    {
        var letters = text.TrimEnd("0123456789");
        var figures = text.Length - letters.Length;
        return figures is > 0 and <= 4 && !letters.ContainsAnyInRange('0', '9') && IsWords(letters);
    }

    /// <summary>"logo", "BytePort", "Full-Page": every hump has three letters or more.</summary>
    private static bool IsWords(ReadOnlySpan<char> text)
    {
        var hump = 3;
        foreach (var c in text)
        {
            if (c is '-' or '_' || char.IsAsciiLetterUpper(c))
            {
                if (hump < 3)
                    return false;
                hump = char.IsAsciiLetterUpper(c) ? 1 : 0;
            }
            else
            {
                hump++;
            }
        }

        return hump >= 3;
    }
}
