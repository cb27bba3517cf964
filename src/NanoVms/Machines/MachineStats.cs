namespace NanoVms.Machines;

/// <summary>What a guest uses, as its own kernel counts it.</summary>
public sealed record MachineStats
{
    /// <summary>Processor time of the guest since its boot, all processors together.</summary>
    public TimeSpan CpuTime { get; init; }

    public TimeSpan Uptime { get; init; }

    /// <summary>Bytes that cannot be reclaimed: total less available.</summary>
    public long MemoryUsed { get; init; }

    /// <summary>Bytes.</summary>
    public long MemoryTotal { get; init; }

    /// <summary>Bytes of the writable layer in use; 0 without one.</summary>
    public long DiskUsed { get; init; }

    /// <summary>Bytes of the writable layer; 0 without one.</summary>
    public long DiskTotal { get; init; }

    /// <summary>Bytes the guest received since its boot.</summary>
    public long NetworkReceived { get; init; }

    /// <summary>Bytes the guest sent since its boot.</summary>
    public long NetworkSent { get; init; }
}
