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
internal static class SparseCopy
{
    private const int Granule = SparseSource.Granule;

    // Of as many granules as whole bytes of a map tell of: two pieces never write to one byte.
    private const long Piece = 16 << 20;

    /// <summary>Copies to an empty file, which gets the same length. Returns the sum of each piece of 16 MiB.</summary>
    /// <exception cref="IOException">Reading or writing failed.</exception>
    public static Task<uint[]> CopyAsync(SafeFileHandle source, SafeFileHandle destination, CancellationToken cancellationToken) =>
        RunAsync(new SparseSource(source), destination, null, [], cancellationToken);

    /// <summary>The same from something that need not be a file.</summary>
    /// <exception cref="IOException">Reading or writing failed.</exception>
    public static Task<uint[]> CopyAsync(ISparseSource source, SafeFileHandle destination, CancellationToken cancellationToken) =>
        RunAsync(source, destination, null, [], cancellationToken);

    /// <summary>The same without what a parent's file has in the same place. Returns the sums of the whole, and the map of what was left out.</summary>
    /// <exception cref="IOException">Reading or writing failed.</exception>
    public static async Task<(uint[] Sums, byte[] Shared)> CopyDifferenceAsync(
        ISparseSource source, SafeFileHandle destination, SparseSource parent, CancellationToken cancellationToken)
    {
        // A parent of another length shares nothing.
        if (source.Length != parent.Length)
            return (await RunAsync(source, destination, null, [], cancellationToken), []);
        var shared = new byte[SparseSource.MapLength(source.Length)];
        return (await RunAsync(source, destination, parent, shared, cancellationToken), shared);
    }

    /// <summary>The sums of a file's pieces.</summary>
    public static Task<uint[]> SumAsync(SafeFileHandle source, CancellationToken cancellationToken) => SumAsync(new SparseSource(source), cancellationToken);

    /// <summary>The same of something that need not be one file.</summary>
    public static Task<uint[]> SumAsync(ISparseSource source, CancellationToken cancellationToken) => RunAsync(source, null, null, [], cancellationToken);

    private static Task<uint[]> RunAsync(
        ISparseSource source, SafeFileHandle? destination, SparseSource? parent, byte[] shared, CancellationToken cancellationToken) => Task.Run(
        () =>
        {
            if (destination is not null)
                RandomAccess.SetLength(destination, source.Length);
            var sums = new uint[(source.Length + Piece - 1) / Piece];
            Parallel.For(0, sums.Length, new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = Environment.ProcessorCount }, index =>
                sums[index] = CopyPiece(source, destination, parent, shared, index * Piece, Math.Min(source.Length, (index + 1) * Piece)));
            return sums;
        },
        cancellationToken);

    private static uint CopyPiece(ISparseSource source, SafeFileHandle? destination, SparseSource? parent, byte[] shared, long start, long end)
    {
        var sum = uint.MaxValue;
        var buffer = ArrayPool<byte>.Shared.Rent(2 * Granule);
        try
        {
            for (var offset = start; offset < end && (offset = source.NextData(offset)) < end; offset += Granule)
            {
                var granule = buffer.AsSpan(0, (int)Math.Min(Granule, end - offset));
                source.Read(granule, offset);
                if (!granule.ContainsAnyExcept((byte)0))
                    continue;
                sum = Add(BitOperations.Crc32C(sum, (ulong)offset), granule);
                if (parent is not null && IsSame(parent, granule, buffer.AsSpan(Granule, granule.Length), offset))
                    shared[offset / Granule / 8] |= (byte)(1 << (int)(offset / Granule % 8));
                else if (destination is not null)
                    RandomAccess.Write(destination, granule, offset);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return ~sum;
    }

    private static bool IsSame(SparseSource parent, ReadOnlySpan<byte> granule, Span<byte> buffer, long offset)
    {
        parent.Read(buffer, offset);
        return granule.SequenceEqual(buffer);
    }

    private static uint Add(uint sum, ReadOnlySpan<byte> data)
    {
        foreach (var word in MemoryMarshal.Cast<byte, ulong>(data))
            sum = BitOperations.Crc32C(sum, word);
        foreach (var last in data[(data.Length & ~7)..])
            sum = BitOperations.Crc32C(sum, last);
        return sum;
    }
}
