namespace NanoVms.Snapshots;

/// <summary>What is to be copied, in granules of <see cref="SparseSource.Granule"/> bytes, many of which hold only zeroes. Thread safe.</summary>
internal interface ISparseSource
{
    /// <summary>In bytes.</summary>
    long Length { get; }

    /// <summary>Where the next granule begins, from this one's beginning on, that may hold anything but zeroes; the end of all numbers when there is none.</summary>
    long NextData(long offset);

    /// <summary>Reads a granule, or the part of it that there is.</summary>
    /// <param name="offset">A granule's beginning.</param>
    /// <exception cref="IOException">It cannot be read, or became shorter.</exception>
    void Read(Span<byte> buffer, long offset);
}
