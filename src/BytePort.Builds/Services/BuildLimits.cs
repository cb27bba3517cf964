namespace BytePort.Builds.Services;

/// <summary>What one build may use.</summary>
public sealed record BuildLimits
{
    public int MemoryMiB { get; init; } = 1536;

    /// <summary>Virtual processors of the machine.</summary>
    public int Cpus { get; init; } = 2;

    /// <summary>Host processors' worth of time.</summary>
    public double CpuLimit { get; init; } = 2;

    /// <summary>Bytes that the build may write.</summary>
    public long DiskBytes { get; init; } = 6L << 30;

    /// <summary>From the machine's start to the output being read.</summary>
    public TimeSpan MaxTime { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>Bytes of the built tree, unpacked.</summary>
    public long MaxOutputBytes { get; init; } = 2L << 30;

    public int MaxOutputFiles { get; init; } = 200_000;
}
