using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace NanoVms.Agent.Protocol;

/// <summary>Reads what <see cref="WireWriter"/> wrote, trusting nothing: a length is checked against the bytes that are there first.</summary>
internal ref struct WireReader(ReadOnlySpan<byte> bytes)
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private ReadOnlySpan<byte> _rest = bytes;

    public readonly ReadOnlySpan<byte> Rest => _rest;

    /// <summary>Ends the reading of a message.</summary>
    /// <exception cref="ProtocolException">Bytes are left.</exception>
    public readonly void End()
    {
        if (!_rest.IsEmpty)
            throw new ProtocolException($"A message is {_rest.Length} bytes too long.");
    }

    public byte Byte() => Raw(1)[0];

    public bool Flag() => Byte() switch
    {
        0 => false,
        1 => true,
        var other => throw new ProtocolException($"A flag is {other}, not 0 or 1."),
    };

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Raw(2));

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Raw(4));

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Raw(4));

    public long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Raw(8));

    public ReadOnlySpan<byte> Raw(int count)
    {
        if (count < 0 || count > _rest.Length)
            throw new ProtocolException($"A message ends early: {count} bytes wanted, {_rest.Length} there.");
        var taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }

    public ReadOnlySpan<byte> Bytes() => Raw(Int32());

    public string Text()
    {
        try
        {
            return StrictUtf8.GetString(Bytes());
        }
        catch (ArgumentException)
        {
            throw new ProtocolException("A text is not UTF-8.");
        }
    }

    /// <summary>A text for people: what a terminal would obey is replaced by blanks.</summary>
    public string Line()
    {
        var text = Text();
        return text.AsSpan().ContainsAnyInRange('\0', '\x1F') || text.AsSpan().ContainsAnyInRange('\x7F', '\x9F')
            ? string.Create(text.Length, text, static (target, source) =>
            {
                for (var i = 0; i < target.Length; i++)
                    target[i] = char.IsControl(source[i]) ? ' ' : source[i];
            })
            : text;
    }

    public string[] Texts()
    {
        var values = new string[Count(4)];
        for (var i = 0; i < values.Length; i++)
            values[i] = Text();
        return values;
    }

    public Dictionary<string, string> Map()
    {
        var count = Count(8);
        var values = new Dictionary<string, string>(count);
        for (var i = 0; i < count; i++)
        {
            var key = Text();
            if (!values.TryAdd(key, Text()))
                throw new ProtocolException($"A map names '{key}' twice.");
        }

        return values;
    }

    public TimeSpan Duration() => Int64() is >= 0 and var ticks
        ? TimeSpan.FromTicks(ticks)
        : throw new ProtocolException("A duration is negative.");

    public DateTimeOffset Time()
    {
        var ticks = Int64();
        return ticks >= 0 && ticks <= DateTimeOffset.MaxValue.Ticks - DateTimeOffset.UnixEpoch.Ticks
            ? new DateTimeOffset(ticks + DateTimeOffset.UnixEpoch.Ticks, TimeSpan.Zero)
            : throw new ProtocolException($"A time is out of range: {ticks}.");
    }

    public int? OptionalInt32() => Flag() ? Int32() : null;

    public string? OptionalText() => Flag() ? Text() : null;

    public IPAddress? OptionalAddress() => Flag() ? new IPAddress(Raw(4)) : null;

    /// <summary>A count of things that take at least so many bytes each, so that a lie cannot ask for memory.</summary>
    private int Count(int leastBytes)
    {
        var count = Int32();
        return count >= 0 && count <= _rest.Length / leastBytes
            ? count
            : throw new ProtocolException($"A list of {count} does not fit {_rest.Length} bytes.");
    }
}
