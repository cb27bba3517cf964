namespace BytePort.Cli.Packing;

/// <summary>Shell patterns for one path part: <c>*</c>, <c>?</c>, <c>[a-z]</c>, <c>[!a]</c>, and a backslash before a character taken as it is.</summary>
internal static class Glob
{
    /// <summary>Linear in pattern times text: only the last star is ever retried.</summary>
    public static bool Matches(string pattern, string text)
    {
        var (p, t) = (0, 0);
        var (starPattern, starText) = (-1, 0);
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                starPattern = ++p;
                starText = t;
            }
            else if (p < pattern.Length && MatchesOne(pattern, p, text[t], out var length))
            {
                p += length;
                t++;
            }
            else if (starPattern >= 0)
            {
                p = starPattern;
                t = ++starText;
            }
            else
                return false;
        }

        while (p < pattern.Length && pattern[p] == '*')
            p++;
        return p == pattern.Length;
    }

    private static bool MatchesOne(string pattern, int start, char c, out int length)
    {
        length = 1;
        switch (pattern[start])
        {
            case '?':
                return true;
            case '\\' when start + 1 < pattern.Length:
                length = 2;
                return pattern[start + 1] == c;
            case '[':
                return MatchesClass(pattern, start, c, out length);
            default:
                return pattern[start] == c;
        }
    }

    private static bool MatchesClass(string pattern, int start, char c, out int length)
    {
        var i = start + 1;
        var negated = i < pattern.Length && pattern[i] is '!' or '^';
        if (negated)
            i++;
        var found = false;
        for (var first = i; i < pattern.Length && (pattern[i] != ']' || i == first); i++)
        {
            if (pattern[i] == '\\' && i + 1 < pattern.Length)
                i++;
            var (low, high) = (pattern[i], pattern[i]);
            if (i + 2 < pattern.Length && pattern[i + 1] == '-' && pattern[i + 2] != ']')
            {
                high = pattern[i + 2];
                i += 2;
            }

            found |= c >= low && c <= high;
        }

        // Without its closing bracket it matches nothing, as in git.
        length = i - start + 1;
        return i < pattern.Length && found != negated;
    }
}
