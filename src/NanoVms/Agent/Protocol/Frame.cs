using System.Buffers.Binary;
using System.Numerics;

namespace NanoVms.Agent.Protocol;

/// <summary>
/// One frame: type (1 byte), flags (1), stream (4), payload, CRC-32C of all before it (4); numbers little-endian. On the wire it is
/// stuffed by <see cref="Cobs"/> and ended by a zero. The check sum is there for a frame cut by a host that vanished, not for noise.
/// </summary>
internal readonly ref struct Frame
{
    /// <summary>The message goes on in the next frame. Only a host may say so.</summary>
    public const byte More = 1;

    public const int MaxLength = 64 * 1024;
    public const int Overhead = 10;
    public const int MaxPayload = MaxLength - Overhead;
    public const byte Delimiter = 0;

    public FrameType Type { get; init; }

    public byte Flags { get; init; }

    public uint Stream { get; init; }

    public ReadOnlySpan<byte> Payload { get; init; }

    public static int MaxWireLength(int payload) => Cobs.MaxEncodedLength(payload + Overhead) + 1;

    /// <param name="payload">At most <see cref="MaxPayload"/> bytes.</param>
    /// <param name="scratch">At least <see cref="Overhead"/> more than the payload.</param>
    /// <param name="wire">At least <see cref="MaxWireLength"/>.</param>
    /// <returns>How many bytes of <paramref name="wire"/> were written, the delimiter included.</returns>
    public static int Write(FrameType type, byte flags, uint stream, ReadOnlySpan<byte> payload, Span<byte> scratch, Span<byte> wire)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(payload.Length, MaxPayload);
        scratch[0] = (byte)type;
        scratch[1] = flags;
        BinaryPrimitives.WriteUInt32LittleEndian(scratch[2..], stream);
        payload.CopyTo(scratch[6..]);
        var length = payload.Length + 6;
        BinaryPrimitives.WriteUInt32LittleEndian(scratch[length..], CheckSum(scratch[..length]));
        var written = Cobs.Encode(scratch[..(length + 4)], wire);
        wire[written] = Delimiter;
        return written + 1;
    }

    /// <summary>Reads the bytes between two delimiters, in place.</summary>
    public static bool TryRead(Span<byte> stuffed, out Frame frame)
    {
        frame = default;
        var length = Cobs.DecodeInPlace(stuffed);
        if (length < Overhead)
            return false;
        var body = stuffed[..(length - 4)];
        if (BinaryPrimitives.ReadUInt32LittleEndian(stuffed[(length - 4)..]) != CheckSum(body))
            return false;
        frame = new Frame
        {
            Type = (FrameType)body[0],
            Flags = body[1],
            Stream = BinaryPrimitives.ReadUInt32LittleEndian(body[2..]),
            Payload = body[6..],
        };
        return true;
    }

    private static uint CheckSum(ReadOnlySpan<byte> bytes)
    {
        var sum = uint.MaxValue;
        for (; bytes.Length >= 8; bytes = bytes[8..])
            sum = BitOperations.Crc32C(sum, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (var one in bytes)
            sum = BitOperations.Crc32C(sum, one);
        return ~sum;
    }
}
