using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Snapshots;

/// <summary>
/// Copies a file without what is zero in it, and sums up what is not, so that a copy of the copy shows whether either was damaged.
/// Pieces are copied at the same time on all processors.
/// </summary>
/// <remarks>
/// The sum of a piece is the CRC-32C (RFC 3720, B.4) of its granules that hold anything but zeroes, each after its offset. Where holes
/// are does not matter: a file system may turn zeroes into holes and back.
/// </remarks>
internal static partial class SparseCopy
{
    private const int Granule = 64 << 10;
    private const long Piece = 16 << 20;
    private const int SeekData = 3;
    private const int NoData = 6;

    /// <summary>Copies to an empty file, which gets the same length. Returns the sum of each piece of 16 MiB.</summary>
    /// <exception cref="IOException">Reading or writing failed.</exception>
    public static Task<uint[]> CopyAsync(SafeFileHandle source, SafeFileHandle destination, CancellationToken cancellationToken) =>
        RunAsync(source, destination, cancellationToken);

    /// <summary>The sums of a file's pieces.</summary>
    public static Task<uint[]> SumAsync(SafeFileHandle source, CancellationToken cancellationToken) => RunAsync(source, null, cancellationToken);

    private static Task<uint[]> RunAsync(SafeFileHandle source, SafeFileHandle? destination, CancellationToken cancellationToken) => Task.Run(
        () =>
        {
            var length = RandomAccess.GetLength(source);
            if (destination is not null)
                RandomAccess.SetLength(destination, length);
            var sums = new uint[(length + Piece - 1) / Piece];
            Parallel.For(0, sums.Length, new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = Environment.ProcessorCount }, index =>
                sums[index] = CopyPiece(source, destination, index * Piece, Math.Min(length, (index + 1) * Piece)));
            return sums;
        },
        cancellationToken);

    private static uint CopyPiece(SafeFileHandle source, SafeFileHandle? destination, long start, long end)
    {
        var sum = uint.MaxValue;
        var buffer = ArrayPool<byte>.Shared.Rent(Granule);
        try
        {
            for (var offset = start; offset < end && (offset = NextData(source, offset)) < end; offset += Granule)
            {
                // From the granule's beginning, although the data may begin later.
                offset -= offset % Granule;
                var granule = Read(source, buffer.AsSpan(0, (int)Math.Min(Granule, end - offset)), offset);
                if (!granule.ContainsAnyExcept((byte)0))
                    continue;
                sum = Add(BitOperations.Crc32C(sum, (ulong)offset), granule);
                if (destination is not null)
                    RandomAccess.Write(destination, granule, offset);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return ~sum;
    }

    private static ReadOnlySpan<byte> Read(SafeFileHandle source, Span<byte> buffer, long offset)
    {
        var count = 0;
        while (count < buffer.Length)
        {
            var read = RandomAccess.Read(source, buffer[count..], offset + count);
            if (read == 0)
                throw new EndOfStreamException("The file became shorter while it was copied.");
            count += read;
        }

        return buffer;
    }

    private static uint Add(uint sum, ReadOnlySpan<byte> data)
    {
        foreach (var word in MemoryMarshal.Cast<byte, ulong>(data))
            sum = BitOperations.Crc32C(sum, word);
        foreach (var last in data[(data.Length & ~7)..])
            sum = BitOperations.Crc32C(sum, last);
        return sum;
    }

    /// <summary>Where the next byte is that is not in a hole; the end of all numbers when there is none.</summary>
    private static long NextData(SafeFileHandle file, long offset)
    {
        var found = Seek(file, offset, SeekData);
        if (found >= 0)
            return found;
        // A file system that knows no holes says so by another error: everything is data there.
        return Marshal.GetLastPInvokeError() == NoData ? long.MaxValue : offset;
    }

    /// <summary>lseek(2): an offset, or -1 with ENXIO behind the last data. The file's own position is used by nobody here.</summary>
    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long Seek(SafeFileHandle file, long offset, int whence);
}
