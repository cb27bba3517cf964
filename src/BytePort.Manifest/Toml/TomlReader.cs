using System.Text;
using System.Text.Unicode;

namespace BytePort.Manifest.Toml;

/// <summary>Reads TOML 1.0 (toml.io/en/v1.0.0), all of it and nothing else. The bytes may come from anybody; time and memory are linear in their number.</summary>
internal sealed class TomlReader
{
    /// <summary>The largest document.</summary>
    public const int MaxBytes = 1 << 20;

    /// <summary>How deep tables and arrays may be nested, whichever way they are written; the reader calls itself once per level.</summary>
    public const int MaxDepth = 64;

    private readonly TomlCursor _cursor;

    private TomlReader(string text) => _cursor = new(text);

    /// <summary>Reads a document of UTF-8, with or without a byte order mark.</summary>
    /// <exception cref="TomlException">It is not TOML, or passes a limit.</exception>
    public static TomlTable Read(ReadOnlySpan<byte> utf8)
    {
        if (utf8.Length > MaxBytes)
            throw new TomlException(new(1, 1), $"The document is larger than {MaxBytes / 1024} KiB.", "Keep data out of it.");
        if (utf8.StartsWith(Encoding.UTF8.Preamble))
            utf8 = utf8[Encoding.UTF8.Preamble.Length..];
        if (!Utf8.IsValid(utf8))
            throw NotUtf8(utf8);
        return new TomlReader(Encoding.UTF8.GetString(utf8)).ReadDocument();
    }

    private TomlTable ReadDocument()
    {
        var root = TomlScope.Root();
        var scope = root;
        while (!_cursor.AtEnd)
        {
            _cursor.SkipSpaces();
            if (_cursor.TrySkip('['))
            {
                scope = ReadHeader(root);
                _cursor.ExpectEndOfLine("a table's header");
            }
            else if (_cursor.AtEnd || _cursor.AtNewline || _cursor.Current == '#')
            {
                _cursor.SkipComment();
                _ = _cursor.TrySkipNewline();
            }
            else
            {
                ReadPair(scope);
                _cursor.ExpectEndOfLine("a value");
            }
        }

        return root.Table;
    }

    private TomlScope ReadHeader(TomlScope root)
    {
        var isArray = _cursor.TrySkip('[');
        var scope = root;
        var last = ReadKey(key => scope = Checked(scope.Enter(key), key));
        if (!_cursor.TrySkip(']') || (isArray && !_cursor.TrySkip(']')))
            throw _cursor.Fail($"The header of a table must end with {(isArray ? "]]" : "]")}, but {_cursor.Describe()} follows.");
        return Checked(isArray ? scope.Append(last) : scope.Define(last), last);
    }

    private void ReadPair(TomlScope scope)
    {
        var last = ReadKey(key => scope = Checked(scope.EnterDotted(key), key));
        if (!_cursor.TrySkip('='))
            throw _cursor.Fail($"After the key \"{Shown.Of(last.Text)}\" an equals sign must stand, but {_cursor.Describe()} follows.");
        _cursor.SkipSpaces();
        scope.Add(last, ReadValue(scope.Depth + 1));
    }

    /// <summary>Reads a key and the spaces around its parts.</summary>
    /// <param name="enter">Takes each part but the last.</param>
    /// <returns>The last part.</returns>
    private TomlKey ReadKey(Action<TomlKey> enter)
    {
        while (true)
        {
            _cursor.SkipSpaces();
            var location = _cursor.Location;
            var text = _cursor.Current is '"' or '\'' ? TomlStrings.ReadLine(_cursor) : ReadBareKey();
            _cursor.SkipSpaces();
            var key = new TomlKey(text, location);
            if (!_cursor.TrySkip('.'))
                return key;
            enter(key);
        }
    }

    private string ReadBareKey()
    {
        var text = _cursor.TakeWhile(character => char.IsAsciiLetterOrDigit(character) || character is '_' or '-').ToString();
        return text.Length > 0
            ? text
            : throw _cursor.Fail($"A key is missing; {_cursor.Describe()} is no key.", "Keys of other characters than A-Z a-z 0-9 _ - stand in quotes.");
    }

    private TomlValue ReadValue(int depth)
    {
        var location = _cursor.Location;
        switch (_cursor.Current)
        {
            case '"' or '\'':
                var isBlock = _cursor.StartsWith("\"\"\"") || _cursor.StartsWith("'''");
                return new TomlString(location, isBlock ? TomlStrings.ReadBlock(_cursor) : TomlStrings.ReadLine(_cursor));
            case '[':
                CheckDepth(depth, location);
                return ReadArray(location, depth);
            case '{':
                CheckDepth(depth, location);
                return ReadInlineTable(location, depth);
            default:
                return TomlScalars.Read(_cursor);
        }
    }

    private TomlArray ReadArray(Location location, int depth)
    {
        _cursor.Skip(1);
        var items = new List<TomlValue>();
        _cursor.SkipBlank();
        while (!_cursor.TrySkip(']'))
        {
            items.Add(ReadValue(depth + 1));
            _cursor.SkipBlank();
            if (_cursor.TrySkip(','))
                _cursor.SkipBlank();
            else if (_cursor.AtEnd || _cursor.Current != ']')
                throw Unclosed(location, "array", ']');
        }

        return new(location, items);
    }

    private TomlTable ReadInlineTable(Location location, int depth)
    {
        _cursor.Skip(1);
        var scope = TomlScope.Inline(location, depth);
        _cursor.SkipSpaces();
        if (_cursor.TrySkip('}'))
            return scope.Table;
        while (true)
        {
            ReadPair(scope);
            _cursor.SkipSpaces();
            if (_cursor.TrySkip('}'))
                return scope.Table;
            if (!_cursor.TrySkip(','))
                throw Unclosed(location, "table in braces", '}');
        }
    }

    private TomlException Unclosed(Location start, string what, char end) =>
        _cursor.Fail($"In the {what} that starts on line {start.Line} a comma or {end} must stand here, but {_cursor.Describe()} follows.");

    private static TomlScope Checked(TomlScope scope, TomlKey key)
    {
        CheckDepth(scope.Depth, key.Location);
        return scope;
    }

    private static void CheckDepth(int depth, Location location)
    {
        if (depth > MaxDepth)
            throw new TomlException(location, $"Nested more than {MaxDepth} deep.");
    }

    private static TomlException NotUtf8(ReadOnlySpan<byte> utf8)
    {
        var (line, column, position) = (1, 1, 0);
        while (Rune.DecodeFromUtf8(utf8[position..], out var rune, out var length) == System.Buffers.OperationStatus.Done)
        {
            position += length;
            (line, column) = rune.Value == '\n' ? (line + 1, 1) : (line, column + rune.Utf16SequenceLength);
        }

        return new(new(line, column), $"The byte 0x{utf8[position]:X2} is not UTF-8.", "Save the file as UTF-8.");
    }
}
