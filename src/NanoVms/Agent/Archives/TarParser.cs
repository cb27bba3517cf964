using System.Text;

namespace NanoVms.Agent.Archives;

/// <summary>
/// Takes an archive apart as its bytes come: ustar, with pax's and GNU's long names. It trusts nothing and holds no more than one
/// head with its names. What follows the end of the archive is ignored, as tar does.
/// </summary>
internal abstract class TarParser
{
    private const int MaxExtra = 64 * 1024;
    private const int MaxPath = 4096;

    private readonly byte[] _block = new byte[TarWriter.Block];
    private int _filled;
    private long _data;
    private int _padding;
    private bool _inFile;
    private byte _extraType;
    private byte[] _extra = [];
    private int _extraFilled;
    private string? _longPath;
    private string? _longLink;
    private long? _longSize;
    private uint? _user;
    private uint? _group;
    private int _zeroBlocks;

    /// <summary>True once the blocks that end an archive came.</summary>
    public bool IsAtEnd => _zeroBlocks >= 2;

    /// <exception cref="InvalidDataException">It is no archive, or of a kind that is not read here.</exception>
    public void Feed(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty && !IsAtEnd)
        {
            var used = _data > 0 ? TakeData(bytes) : _padding > 0 ? TakePadding(bytes) : TakeBlock(bytes);
            bytes = bytes[used..];
        }
    }

    /// <summary>Nothing more comes.</summary>
    /// <exception cref="InvalidDataException">The archive was cut off.</exception>
    public void End()
    {
        if (!IsAtEnd && (_filled > 0 || _data > 0 || _padding > 0 || _extraType != 0 || _zeroBlocks == 0))
            throw new InvalidDataException("The archive ends too early.");
    }

    protected abstract void OnEntry(TarEntry entry);

    /// <summary>The data of the last entry, in pieces; never more than its size.</summary>
    protected abstract void OnData(ReadOnlySpan<byte> data);

    /// <summary>After the data of a file, also of an empty one.</summary>
    protected abstract void OnFileEnd();

    private int TakeData(ReadOnlySpan<byte> bytes)
    {
        var count = (int)Math.Min(bytes.Length, _data);
        _data -= count;
        if (_extraType != 0)
        {
            bytes[..count].CopyTo(_extra.AsSpan(_extraFilled));
            _extraFilled += count;
            if (_data == 0)
                ReadExtra();
            return count;
        }

        if (_inFile)
            OnData(bytes[..count]);
        if (_data == 0 && _inFile)
            EndFile();
        return count;
    }

    private int TakePadding(ReadOnlySpan<byte> bytes)
    {
        var count = Math.Min(bytes.Length, _padding);
        _padding -= count;
        return count;
    }

    private int TakeBlock(ReadOnlySpan<byte> bytes)
    {
        var count = Math.Min(bytes.Length, TarWriter.Block - _filled);
        bytes[..count].CopyTo(_block.AsSpan(_filled));
        _filled += count;
        if (_filled < TarWriter.Block)
            return count;
        _filled = 0;
        if (_block.AsSpan().IndexOfAnyExcept((byte)0) < 0)
        {
            _zeroBlocks++;
            return count;
        }

        _zeroBlocks = 0;
        ReadHead();
        return count;
    }

    private void ReadHead()
    {
        CheckSum();
        var type = _block[156];
        var size = Number(124, 12);
        if (type is (byte)'x' or (byte)'g' or (byte)'L' or (byte)'K')
        {
            if (size is <= 0 or > MaxExtra)
                throw new InvalidDataException($"The archive has a name or attributes of {size} bytes; at most {MaxExtra} are read.");
            (_extraType, _extra, _extraFilled) = (type, new byte[size], 0);
            (_data, _padding) = (size, TarWriter.Padding(size));
            return;
        }

        if (type == (byte)'S')
            throw new InvalidDataException("The archive holds a sparse file in GNU's form, which is not read.");
        var kind = type switch
        {
            0 or (byte)'0' or (byte)'7' => TarKind.File,
            (byte)'1' => TarKind.HardLink,
            (byte)'2' => TarKind.SymbolicLink,
            (byte)'5' => TarKind.Directory,
            _ => TarKind.Other,
        };
        var path = _longPath ?? ShortPath();
        // Archives from before POSIX mark a folder by a slash only.
        if (kind == TarKind.File && path.EndsWith('/'))
            kind = TarKind.Directory;
        size = _longSize ?? size;
        var link = kind is TarKind.SymbolicLink or TarKind.HardLink ? _longLink ?? Text(157, 100) : "";
        if (path.Length is 0 or > MaxPath || link.Length > MaxPath || size < 0)
            throw new InvalidDataException($"The archive has an entry with names of {path.Length} and {link.Length} bytes and a size of {size}.");
        var entry = new TarEntry(
            kind,
            path,
            kind == TarKind.File ? size : 0,
            (uint)Number(100, 8) & 0xFFF,
            _user ?? (uint)Number(108, 8),
            _group ?? (uint)Number(116, 8),
            Number(136, 12),
            link);
        (_longPath, _longLink, _longSize, _user, _group) = (null, null, null, null, null);
        // Links and folders say a size sometimes, and have no data.
        (_data, _padding) = kind is TarKind.File or TarKind.Other ? (size, TarWriter.Padding(size)) : (0, 0);
        _inFile = kind == TarKind.File;
        OnEntry(entry);
        if (_inFile && _data == 0)
            EndFile();
    }

    private void EndFile()
    {
        _inFile = false;
        OnFileEnd();
    }

    private void ReadExtra()
    {
        var (type, text) = (_extraType, Encoding.Latin1.GetString(_extra));
        (_extraType, _extra) = (0, []);
        if (type == (byte)'L')
            _longPath = text.TrimEnd('\0');
        else if (type == (byte)'K')
            _longLink = text.TrimEnd('\0');
        else if (type == (byte)'x')
            ReadRecords(text);
    }

    private void ReadRecords(string text)
    {
        while (text.Length > 0)
        {
            var blank = text.IndexOf(' ');
            if (blank < 1 || !int.TryParse(text.AsSpan(0, blank), out var length) || length <= blank + 2 || length > text.Length || text[length - 1] != '\n')
                throw new InvalidDataException("The archive has attributes that are not pax's.");
            var record = text[(blank + 1)..(length - 1)];
            text = text[length..];
            var equals = record.IndexOf('=');
            if (equals > 0)
                ReadRecord(record[..equals], record[(equals + 1)..]);
        }
    }

    private void ReadRecord(string key, string value)
    {
        if (key == "path")
            _longPath = value;
        else if (key == "linkpath")
            _longLink = value;
        else if (key == "size")
            _longSize = long.TryParse(value, out var size) ? size : -1;
        else if (key == "uid")
            _user = uint.TryParse(value, out var user) ? user : throw new InvalidDataException("The archive has a user that is no number.");
        else if (key == "gid")
            _group = uint.TryParse(value, out var group) ? group : throw new InvalidDataException("The archive has a group that is no number.");
        else if (key.StartsWith("GNU.sparse", StringComparison.Ordinal))
            throw new InvalidDataException("The archive holds a sparse file in GNU's form, which is not read.");
    }

    private string ShortPath()
    {
        var name = Text(0, 100);
        // GNU's archives have other things where POSIX has a prefix.
        var prefix = _block.AsSpan(257, 6).SequenceEqual("ustar\0"u8) ? Text(345, 155) : "";
        return prefix.Length > 0 ? $"{prefix}/{name}" : name;
    }

    private void CheckSum()
    {
        var sum = 0;
        for (var i = 0; i < TarWriter.Block; i++)
            sum += i is >= 148 and < 156 ? ' ' : _block[i];
        if (sum != Number(148, 8))
            throw new InvalidDataException("The bytes are no archive: the check sum of a head is wrong.");
    }

    private string Text(int at, int length)
    {
        var field = _block.AsSpan(at, length);
        var end = field.IndexOf((byte)0);
        return Encoding.Latin1.GetString(end < 0 ? field : field[..end]);
    }

    /// <summary>Octal digits, or for large values the bytes themselves after a set bit.</summary>
    private long Number(int at, int length)
    {
        var field = _block.AsSpan(at, length);
        var value = 0L;
        if ((field[0] & 0x80) != 0)
        {
            // Below zero, as a time before 1970: nothing here needs that.
            if (field[0] == 0xFF)
                return 0;
            for (var i = 1; i < length; i++)
            {
                if (value >> 54 != 0)
                    throw new InvalidDataException("The archive has a number that is too large.");
                value = (value << 8) | field[i];
            }

            return value;
        }

        foreach (var one in field.Trim((byte)' '))
        {
            if (one is 0 or (byte)' ')
                break;
            if (one is < (byte)'0' or > (byte)'7')
                throw new InvalidDataException("The bytes are no archive: a number is not octal.");
            value = (value << 3) | (uint)(one - '0');
        }

        return value;
    }
}
