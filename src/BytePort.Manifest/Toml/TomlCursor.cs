using System.Globalization;

namespace BytePort.Manifest.Toml;

/// <summary>Walks through the text, knows line and column, and refuses characters that no document may hold.</summary>
internal sealed class TomlCursor(string text)
{
    public const char End = '\0';

    private int _position;
    private int _line = 1;
    private int _lineStart;

    public Location Location => new(_line, _position - _lineStart + 1);

    public bool AtEnd => _position >= text.Length;

    /// <summary>The next character; <see cref="End"/> behind the last one. A zero in the text is refused by whoever meets it, like other controls.</summary>
    public char Current => Peek(0);

    public bool AtNewline => Current == '\n' || (Current == '\r' && Peek(1) == '\n');

    public char Peek(int distance) => _position + distance < text.Length ? text[_position + distance] : End;

    public bool StartsWith(string word) => text.AsSpan(_position).StartsWith(word, StringComparison.Ordinal);

    /// <summary>Moves over characters that are not newlines.</summary>
    public void Skip(int count) => _position += count;

    public bool TrySkip(char expected)
    {
        if (AtEnd || Current != expected)
            return false;
        _position++;
        return true;
    }

    public bool TrySkipNewline()
    {
        if (!AtNewline)
            return false;
        _position += Current == '\r' ? 2 : 1;
        _line++;
        _lineStart = _position;
        return true;
    }

    public void SkipSpaces()
    {
        while (Current is ' ' or '\t')
            _position++;
    }

    /// <summary>Spaces, newlines and comments, which may stand anywhere between the items of an array.</summary>
    public void SkipBlank()
    {
        do
        {
            SkipSpaces();
            SkipComment();
        }
        while (TrySkipNewline());
    }

    public void SkipComment()
    {
        if (!TrySkip('#'))
            return;
        while (!AtEnd && !AtNewline)
            _ = TakeText("a comment");
    }

    /// <summary>What must follow a header or a value: nothing more on the line but a comment.</summary>
    public void ExpectEndOfLine(string after)
    {
        SkipSpaces();
        SkipComment();
        if (!AtEnd && !TrySkipNewline())
            throw Fail($"After {after} the line must end, but {Describe()} follows.");
    }

    /// <summary>Takes one character of a comment or a string; all are allowed but controls other than the tab.</summary>
    public char TakeText(string within)
    {
        var character = Current;
        if (IsControl(character))
            throw Fail($"{Describe()} may not be written in {within}.", within == "a comment" ? "Remove it." : "Write it as an escape in a text of double quotes.");
        _position++;
        return character;
    }

    /// <summary>Takes characters as long as they are right.</summary>
    public ReadOnlySpan<char> TakeWhile(Func<char, bool> right)
    {
        var start = _position;
        while (!AtEnd && right(Current))
            _position++;
        return text.AsSpan(start, _position - start);
    }

    /// <summary>What comes next, for messages.</summary>
    public string Describe() => Current switch
    {
        _ when AtEnd => "the end of the file",
        _ when AtNewline => "the end of the line",
        '"' => "a double quote",
        '\t' => "a tab",
        var control when char.IsControl(control) => string.Create(CultureInfo.InvariantCulture, $"the control character U+{(int)control:X4}"),
        var high when char.IsHighSurrogate(high) => $"\"{high}{Peek(1)}\"",
        var other => $"\"{other}\"",
    };

    public TomlException Fail(string message, string? suggestion = null) => new(Location, Capitalize(message), suggestion);

    private static string Capitalize(string message) => char.ToUpperInvariant(message[0]) + message[1..];

    private static bool IsControl(char character) => character is < ' ' and not '\t' or '\x7f';
}
