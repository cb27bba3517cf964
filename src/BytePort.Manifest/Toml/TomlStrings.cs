using System.Globalization;
using System.Text;

namespace BytePort.Manifest.Toml;

/// <summary>Reads the four kinds of text in quotes.</summary>
internal static class TomlStrings
{
    /// <summary>Reads a text of one line, as keys and values have it.</summary>
    public static string ReadLine(TomlCursor cursor)
    {
        var start = cursor.Location;
        var quote = cursor.Current;
        cursor.Skip(1);
        var text = new StringBuilder();
        while (true)
        {
            if (cursor.AtEnd || cursor.AtNewline)
                throw new TomlException(start, "This text is not closed on its line.", $"End it with {quote}, or begin and end it with {quote}{quote}{quote}.");
            if (cursor.TrySkip(quote))
                return text.ToString();
            if (quote == '"' && cursor.Current == '\\')
                ReadEscape(cursor, text);
            else
                text.Append(cursor.TakeText("a text"));
        }
    }

    /// <summary>Reads a text that starts with three quotes; newlines stay as they are written.</summary>
    public static string ReadBlock(TomlCursor cursor)
    {
        var start = cursor.Location;
        var quote = cursor.Current;
        cursor.Skip(3);
        _ = cursor.TrySkipNewline();
        var text = new StringBuilder();
        while (true)
        {
            if (cursor.AtEnd)
                throw new TomlException(start, "This text is not closed before the end of the file.", $"End it with {quote}{quote}{quote}.");
            if (cursor.Current == quote)
            {
                // One or two quotes are text; of three to five the last three end it.
                var quotes = cursor.TakeWhile(character => character == quote).Length;
                if (quotes > 5)
                    throw new TomlException(start, $"This text has {quotes} quotes in a row; 5 is the most at its end.", quote == '"' ? "Write those that belong to the text as \\\"." : null);
                text.Append(quote, quotes < 3 ? quotes : quotes - 3);
                if (quotes >= 3)
                    return text.ToString();
            }
            else if (quote == '"' && cursor.Current == '\\')
            {
                if (!TrySkipFoldedLine(cursor))
                    ReadEscape(cursor, text);
            }
            else if (cursor.AtNewline)
            {
                text.Append(cursor.Current == '\r' ? "\r\n" : "\n");
                _ = cursor.TrySkipNewline();
            }
            else
            {
                text.Append(cursor.TakeText("a text"));
            }
        }
    }

    /// <summary>A backslash at the end of a line: it, the newline and all white space after it are left out.</summary>
    private static bool TrySkipFoldedLine(TomlCursor cursor)
    {
        var distance = 1;
        while (cursor.Peek(distance) is ' ' or '\t')
            distance++;
        if (cursor.Peek(distance) != '\n' && (cursor.Peek(distance) != '\r' || cursor.Peek(distance + 1) != '\n'))
        {
            // Said here, so that a run of backslashes and spaces is not walked through again and again.
            if (distance > 1)
                throw cursor.Fail("A backslash before spaces must be the last thing on its line.", "Write \\\\ for a backslash.");
            return false;
        }

        cursor.Skip(distance);
        while (cursor.TrySkipNewline())
            cursor.SkipSpaces();
        return true;
    }

    private static void ReadEscape(TomlCursor cursor, StringBuilder text)
    {
        var kind = cursor.Peek(1);
        switch (kind)
        {
            case 'b': text.Append('\b'); break;
            case 't': text.Append('\t'); break;
            case 'n': text.Append('\n'); break;
            case 'f': text.Append('\f'); break;
            case 'r': text.Append('\r'); break;
            case '"': text.Append('"'); break;
            case '\\': text.Append('\\'); break;
            case 'u': ReadCodePoint(cursor, 4, text); return;
            case 'U': ReadCodePoint(cursor, 8, text); return;
            default:
                throw cursor.Fail(
                    "This is not an escape.", "Known are \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX; write \\\\ for a backslash, or the text in single quotes.");
        }

        cursor.Skip(2);
    }

    private static void ReadCodePoint(TomlCursor cursor, int digits, StringBuilder text)
    {
        var number = 0u;
        for (var i = 2; i < digits + 2; i++)
        {
            if (!char.IsAsciiHexDigit(cursor.Peek(i)))
                throw cursor.Fail($"\\{cursor.Peek(1)} needs {digits} hexadecimal digits.");
            number = (number << 4) | (uint)Convert.ToInt32(cursor.Peek(i).ToString(), 16);
        }

        if (!Rune.TryCreate(number, out var rune))
            throw cursor.Fail(string.Create(CultureInfo.InvariantCulture, $"U+{number:X4} is not a character of Unicode."));
        text.Append(rune.ToString());
        cursor.Skip(digits + 2);
    }
}
