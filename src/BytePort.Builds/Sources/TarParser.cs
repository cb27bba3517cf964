using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace BytePort.Builds.Sources;

/// <summary>
/// Reads tar (POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU long names and sizes) from a stream that need not seek.
/// Extended headers are bounded: the framework's reader allocates what a header claims, up to 2 GiB.
/// </summary>
internal sealed class TarParser(Stream archive)
{
    private const int Block = 512;
    private const int MaxExtendedBytes = 1024 * 1024;

    private readonly byte[] _header = new byte[Block];
    private TarEntry? _current;

    /// <summary>The next entry, or null at the end.</summary>
    /// <exception cref="SourceException">The archive is damaged.</exception>
    public async Task<TarEntry?> ReadAsync(CancellationToken cancellationToken)
    {
        string? longName = null, longLink = null;
        Dictionary<string, string>? extended = null;
        while (true)
        {
            if (_current is not null)
                await _current.Content.SkipAsync(cancellationToken);
            _current = null;
            if (!await ReadHeaderAsync(cancellationToken))
                return null;

            var size = ReadNumber(124, 12);
            var type = (char)_header[156];
            switch (type)
            {
                case 'L':
                    longName = await ReadTextAsync(size, cancellationToken);
                    continue;
                case 'K':
                    longLink = await ReadTextAsync(size, cancellationToken);
                    continue;
                case 'x':
                    extended = ParseExtended(await ReadExtendedAsync(size, cancellationToken));
                    continue;
                case 'g':
                    // Global defaults: git writes the commit here. None that matter to us is allowed to come this way.
                    await ReadExtendedAsync(size, cancellationToken);
                    continue;
            }

            if (extended?.GetValueOrDefault("size") is { } text
                && !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out size))
            {
                throw Damaged("a size in an extended header is no number");
            }

            var name = extended?.GetValueOrDefault("path") ?? longName ?? ReadName();
            var link = extended?.GetValueOrDefault("linkpath") ?? longLink ?? ReadString(157, 100);
            var kind = Kind(type, name, extended);
            // Only files have content; some writers put a size on links all the same.
            var content = new TarContent(archive, kind is TarEntryKind.Link or TarEntryKind.HardLink or TarEntryKind.Folder ? 0 : size);
            _current = new TarEntry(name, kind, (ReadNumber(100, 8) & 0b001_001_001) != 0, link, content);
            return _current;
        }
    }

    private static TarEntryKind Kind(char type, string name, Dictionary<string, string>? extended) => type switch
    {
        // A sparse file's content is a map and pieces, which is nothing to write down as it is.
        _ when extended?.Keys.Any(key => key.StartsWith("GNU.sparse", StringComparison.Ordinal)) == true => TarEntryKind.Other,
        '0' or '\0' or '7' => name.EndsWith('/') ? TarEntryKind.Folder : TarEntryKind.File,
        '1' => TarEntryKind.HardLink,
        '2' => TarEntryKind.Link,
        '5' => TarEntryKind.Folder,
        _ => TarEntryKind.Other,
    };

    private async Task<bool> ReadHeaderAsync(CancellationToken cancellationToken)
    {
        var read = await archive.ReadAtLeastAsync(_header, Block, throwOnEndOfStream: false, cancellationToken);
        if (read == 0 || (read == Block && !_header.AsSpan().ContainsAnyExcept((byte)0)))
            return false;
        if (read < Block)
            throw Damaged("it ends inside an entry");

        var expected = ReadNumber(148, 8);
        long sum = 8 * ' ';
        for (var i = 0; i < Block; i++)
            sum += i is >= 148 and < 156 ? 0 : _header[i];
        return sum == expected ? true : throw Damaged("the check sum of an entry is wrong");
    }

    private string ReadName()
    {
        var name = ReadString(0, 100);
        var isPosix = _header.AsSpan(257, 6).SequenceEqual("ustar\0"u8);
        var prefix = isPosix ? ReadString(345, 155) : "";
        return prefix.Length > 0 ? $"{prefix}/{name}" : name;
    }

    private string ReadString(int offset, int length)
    {
        var field = _header.AsSpan(offset, length);
        var end = field.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? field : field[..end]);
    }

    private long ReadNumber(int offset, int length)
    {
        var field = _header.AsSpan(offset, length);
        if ((field[0] & 0x80) != 0)
        {
            // GNU: base 256, big-endian; more than 63 bits is no size of ours.
            if (field[0] != 0x80 || length < 9 || field[1..^8].ContainsAnyExcept((byte)0))
                throw Damaged("a number in a header is out of range");
            var value = BinaryPrimitives.ReadInt64BigEndian(field[^8..]);
            return value >= 0 ? value : throw Damaged("a number in a header is negative");
        }

        long number = 0;
        foreach (var digit in field.Trim(" \0"u8))
            number = digit is >= (byte)'0' and <= (byte)'7' ? (number << 3) + (digit - '0') : throw Damaged("a number in a header is no number");
        return number;
    }

    private async Task<string> ReadTextAsync(long size, CancellationToken cancellationToken)
    {
        var data = await ReadExtendedAsync(size, cancellationToken);
        return Encoding.UTF8.GetString(data.AsSpan().TrimEnd((byte)0));
    }

    private async Task<byte[]> ReadExtendedAsync(long size, CancellationToken cancellationToken)
    {
        if (size > MaxExtendedBytes)
            throw Damaged($"an extended header is larger than {MaxExtendedBytes / 1024 / 1024} MiB");
        var data = new byte[size];
        var content = new TarContent(archive, size);
        await content.ReadExactlyAsync(data, cancellationToken);
        await content.SkipAsync(cancellationToken);
        return data;
    }

    /// <summary>Records of <c>length key=value\n</c>, the length counting itself.</summary>
    private static Dictionary<string, string> ParseExtended(ReadOnlySpan<byte> data)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        while (!data.IsEmpty && data[0] != 0)
        {
            var space = data.IndexOf((byte)' ');
            if (space is < 1 or > 10
                || !int.TryParse(data[..space], NumberStyles.None, CultureInfo.InvariantCulture, out var length)
                || length <= space + 1
                || length > data.Length
                || data[length - 1] != '\n')
            {
                throw Damaged("an extended header is malformed");
            }

            var record = data[(space + 1)..(length - 1)];
            var equals = record.IndexOf((byte)'=');
            if (equals < 1)
                throw Damaged("an extended header is malformed");
            values[Encoding.UTF8.GetString(record[..equals])] = Encoding.UTF8.GetString(record[(equals + 1)..]);
            data = data[length..];
        }

        return values;
    }

    private static SourceException Damaged(string why) =>
        new(SourceErrors.BadArchive, $"The tar archive is damaged: {why}.");
}
