using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace NanoVms.Agent.Protocol;

/// <summary>Writes a message's fields one after the other; numbers little-endian, text as its length in bytes and UTF-8.</summary>
internal sealed class WireWriter
{
    private byte[] _buffer = new byte[256];
    private int _length;

    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    public void Clear() => _length = 0;

    public WireWriter Byte(byte value)
    {
        Reserve(1)[0] = value;
        return this;
    }

    public WireWriter Flag(bool value) => Byte(value ? (byte)1 : (byte)0);

    public WireWriter UInt16(ushort value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(Reserve(2), value);
        return this;
    }

    public WireWriter Int32(int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(Reserve(4), value);
        return this;
    }

    public WireWriter UInt32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(Reserve(4), value);
        return this;
    }

    public WireWriter Int64(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(Reserve(8), value);
        return this;
    }

    public WireWriter Raw(ReadOnlySpan<byte> value)
    {
        value.CopyTo(Reserve(value.Length));
        return this;
    }

    public WireWriter Bytes(ReadOnlySpan<byte> value) => Int32(value.Length).Raw(value);

    public WireWriter Text(string value)
    {
        var length = Encoding.UTF8.GetByteCount(value);
        Int32(length);
        Encoding.UTF8.GetBytes(value, Reserve(length));
        return this;
    }

    public WireWriter Texts(IReadOnlyList<string> values)
    {
        Int32(values.Count);
        foreach (var value in values)
            Text(value);
        return this;
    }

    public WireWriter Map(IReadOnlyDictionary<string, string> values)
    {
        Int32(values.Count);
        foreach (var (key, value) in values)
            Text(key).Text(value);
        return this;
    }

    public WireWriter Duration(TimeSpan value) => Int64(value.Ticks);

    /// <summary>In units of 100 ns since 1970.</summary>
    public WireWriter Time(DateTimeOffset value) => Int64(value.UtcTicks - DateTimeOffset.UnixEpoch.Ticks);

    public WireWriter OptionalInt32(int? value) => value is { } present ? Flag(true).Int32(present) : Flag(false);

    public WireWriter OptionalText(string? value) => value is null ? Flag(false) : Flag(true).Text(value);

    /// <summary>IPv4 in network order, or a zero flag.</summary>
    public WireWriter OptionalAddress(IPAddress? value) => value is null ? Flag(false) : Flag(true).Raw(value.MapToIPv4().GetAddressBytes());

    private Span<byte> Reserve(int count)
    {
        if (count > _buffer.Length - _length)
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + count));
        _length += count;
        return _buffer.AsSpan(_length - count, count);
    }
}
