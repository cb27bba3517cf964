using System.Buffers;
using System.Text;

namespace BytePort.Cli.Terminal;

/// <summary>Makes text from builds, apps and servers safe to show: it may not move the cursor, set titles or ring bells.</summary>
internal static class PlainText
{
    private const char Escape = '\u001b';

    private static readonly SearchValues<char> ColorParameters = SearchValues.Create("0123456789;:");

    /// <summary>Drops control characters and escape sequences; keeps tabs, and colours when they are wanted.</summary>
    public static string Clean(string text, bool keepColors = false)
    {
        if (!text.Any(NeedsCare))
            return text;
        var clean = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == Escape)
            {
                var end = FindEnd(text, i);
                if (keepColors && end < text.Length && end > i + 1 && text[i + 1] == '[' && text[end] == 'm' && text.AsSpan(i + 2, end - i - 2).IndexOfAnyExcept(ColorParameters) < 0)
                    clean.Append(text, i, end - i + 1);
                i = end;
            }
            else if (text[i] == '\t' || !NeedsCare(text[i]))
                clean.Append(text[i]);
        }

        return clean.ToString();
    }

    /// <summary>The index of the last character of the escape sequence that starts at <paramref name="start"/> (ECMA-48).</summary>
    private static int FindEnd(string text, int start)
    {
        var i = start + 1;
        if (i >= text.Length)
            return start;
        if (text[i] == '[')
        {
            i++;
            while (i < text.Length && text[i] is >= ' ' and <= '?')
                i++;
            return i;
        }

        if (text[i] is not (']' or 'P' or 'X' or '^' or '_'))
            return i;

        // A string sequence ends with BEL or ESC \.
        while (i < text.Length && text[i] != '\a' && !(text[i] == '\\' && text[i - 1] == Escape))
            i++;
        return i;
    }

    // Control characters, and the marks that reorder text so that it reads as something else.
    private static bool NeedsCare(char c) => char.IsControl(c) || c is (>= '\u202a' and <= '\u202e') or (>= '\u2066' and <= '\u2069');
}
