namespace BytePort.Builds.Sources;

/// <summary>What source may be at most.</summary>
public sealed record SourceLimits
{
    /// <summary>Bytes of all files, unpacked.</summary>
    public long MaxBytes { get; init; } = 500L * 1024 * 1024;

    /// <summary>Entries: files, folders and links.</summary>
    public int MaxFiles { get; init; } = 50_000;

    /// <summary>Bytes of one path in UTF-8.</summary>
    public int MaxPathBytes { get; init; } = 1024;

    public int MaxDepth { get; init; } = 64;

    /// <summary>Time for one fetch.</summary>
    public TimeSpan MaxTime { get; init; } = TimeSpan.FromMinutes(10);
}
