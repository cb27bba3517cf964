using System.Buffers.Binary;

namespace NanoVms.Machines;

/// <summary>
/// What is kept of a console: the first 64 KiB, which show how the guest booted, and the last 64 KiB, which show how it ended. A guest that
/// writes for ever takes no more. Not thread safe.
/// </summary>
internal sealed class ConsoleRecord
{
    /// <summary>Bytes kept of the beginning, and as many of the end.</summary>
    public const int Kept = 64 * 1024;

    private const int Header = sizeof(long) + sizeof(int);
    private byte[] _first = [];
    private byte[] _last = [];

    /// <summary>How much was added in all.</summary>
    public long Total { get; private set; }

    /// <summary>What is kept, from an offset on: what is missing there is skipped. Null when there is nothing yet.</summary>
    public ConsoleChunk? Read(long from)
    {
        from = Math.Max(0, from);
        if (from < _first.Length)
            return new ConsoleChunk(from, _first.AsMemory((int)from));
        var start = Math.Max(from, Total - _last.Length);
        return start >= Total ? null : new ConsoleChunk(start, _last.AsMemory((int)(start - (Total - _last.Length))));
    }

    /// <summary>The last that is kept.</summary>
    public ReadOnlyMemory<byte> Tail => _last.Length > 0 ? _last : _first;

    public void Add(ReadOnlySpan<byte> data)
    {
        Total += data.Length;
        var room = Math.Min(Kept - _first.Length, data.Length);
        // Once the end is kept the beginning is complete, whatever its length: a restart may have cut it.
        if (_last.Length == 0 && room > 0)
        {
            _first = [.. _first, .. data[..room]];
            data = data[room..];
        }

        if (data.IsEmpty)
            return;
        var before = Math.Min(_last.Length, Math.Max(0, Kept - data.Length));
        _last = [.. _last.AsSpan(_last.Length - before), .. data[Math.Max(0, data.Length - Kept)..]];
    }

    public byte[] ToBytes()
    {
        var bytes = new byte[Header + _first.Length + _last.Length];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, Total);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(sizeof(long)), _first.Length);
        _first.CopyTo(bytes, Header);
        _last.CopyTo(bytes, Header + _first.Length);
        return bytes;
    }

    /// <summary>Empty when the bytes are no record.</summary>
    public static ConsoleRecord FromBytes(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < Header)
            return new ConsoleRecord();
        var total = BinaryPrimitives.ReadInt64LittleEndian(bytes);
        var first = BinaryPrimitives.ReadInt32LittleEndian(bytes[sizeof(long)..]);
        bytes = bytes[Header..];
        if (first is < 0 or > Kept || first > bytes.Length || bytes.Length - first > Kept || total < bytes.Length)
            return new ConsoleRecord();
        return new ConsoleRecord { Total = total, _first = bytes[..first].ToArray(), _last = bytes[first..].ToArray() };
    }
}
