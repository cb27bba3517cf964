using System.Buffers.Binary;

namespace NanoVms.Images;

/// <summary>
/// The legacy LZ4 frame that kernels are packed in: a magic number, then blocks that each begin with their length.
/// Source: lz4_Frame_format.md and lz4_Block_format.md of the LZ4 project.
/// </summary>
internal static class GuestKernelLz4
{
    public const uint Magic = 0x184C2102;
    private const int MinMatch = 4;

    /// <summary>Unpacks into an array of known size.</summary>
    /// <exception cref="InvalidDataException">The data is damaged or has another size.</exception>
    public static byte[] Decode(ReadOnlySpan<byte> packed, int size)
    {
        var output = new byte[size];
        var written = 0;
        if (packed.Length < 4 || BinaryPrimitives.ReadUInt32LittleEndian(packed) != Magic)
            throw new InvalidDataException("This is no legacy LZ4 frame.");
        packed = packed[4..];
        while (packed.Length >= 4)
        {
            var length = BinaryPrimitives.ReadUInt32LittleEndian(packed);
            packed = packed[4..];
            if (length > packed.Length)
                throw new InvalidDataException($"An LZ4 block of {length} bytes ends after {packed.Length}.");
            written += DecodeBlock(packed[..(int)length], output.AsSpan(written));
            packed = packed[(int)length..];
        }

        return written == size ? output : throw new InvalidDataException($"LZ4 data gave {written} bytes, not {size}.");
    }

    private static int DecodeBlock(ReadOnlySpan<byte> block, Span<byte> output)
    {
        int read = 0, written = 0;
        try
        {
            while (true)
            {
                var token = block[read++];
                var literals = Length(token >> 4, block, ref read);
                block.Slice(read, literals).CopyTo(output[written..]);
                (read, written) = (read + literals, written + literals);
                if (read == block.Length)
                    return written;
                var distance = BinaryPrimitives.ReadUInt16LittleEndian(block[read..]);
                read += 2;
                var match = Length(token & 15, block, ref read) + MinMatch;
                CopyMatch(output, written, distance, match);
                written += match;
            }
        }
        catch (Exception failure) when (failure is IndexOutOfRangeException or ArgumentException)
        {
            throw new InvalidDataException("An LZ4 block is damaged.", failure);
        }
    }

    private static int Length(int start, ReadOnlySpan<byte> block, ref int read)
    {
        if (start < 15)
            return start;
        int length = start, more;
        do
        {
            more = block[read++];
            length = checked(length + more);
        }
        while (more == 255);
        return length;
    }

    /// <summary>The match may reach into what it writes, and then repeats.</summary>
    private static void CopyMatch(Span<byte> output, int at, int distance, int length)
    {
        if (distance == 0 || distance > at)
            throw new InvalidDataException($"An LZ4 match points {distance} bytes back from byte {at}.");
        if (distance >= length)
        {
            output.Slice(at - distance, length).CopyTo(output[at..]);
            return;
        }

        for (var i = 0; i < length; i++)
            output[at + i] = output[at + i - distance];
    }
}
