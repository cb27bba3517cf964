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

    /// <summary>Bytes of files that the guest keeps in memory and gives up when it needs it. This and all below are 0 from agents of protocol 1.</summary>
    public long MemoryCached { get; init; }

    /// <summary>Bytes read from all disks since boot.</summary>
    public long DiskRead { get; init; }

    /// <summary>Bytes written to all disks since boot.</summary>
    public long DiskWritten { get; init; }

    public long PacketsReceived { get; init; }

    public long PacketsSent { get; init; }

    /// <summary>Packets that were dropped or damaged, both ways.</summary>
    public long PacketsLost { get; init; }

    /// <summary>How many threads wanted a processor or a disk, on average of the last minute.</summary>
    public double Load1 { get; init; }

    /// <summary>Of the last five minutes.</summary>
    public double Load5 { get; init; }

    /// <summary>Of the last fifteen minutes.</summary>
    public double Load15 { get; init; }

    public long Processors { get; init; }

    /// <summary>Without the kernel's own.</summary>
    public long Processes { get; init; }

    /// <summary>How many processes the kernel ended for want of memory since boot.</summary>
    public long OutOfMemoryKills { get; init; }

    /// <summary>Processor time since boot in which there was nothing to do but to wait for a disk.</summary>
    public TimeSpan CpuWaiting { get; init; }

    /// <summary>Processor time since boot that the host gave to others.</summary>
    public TimeSpan CpuStolen { get; init; }
}
