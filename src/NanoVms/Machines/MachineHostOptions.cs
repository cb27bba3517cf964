using NanoVms.Drivers.Qemu;
using NanoVms.Images;
using NanoVms.Network;

namespace NanoVms.Machines;

/// <summary>Where machines live and what they boot.</summary>
public sealed record MachineHostOptions
{
    /// <summary>Holds a folder per machine, the name service's files and the lock; absolute, on a file system with sparse files.</summary>
    public required string Folder { get; init; }

    /// <summary>The guest kernel and its initramfs; asked at each start, for starts at the same time once.</summary>
    public required Func<CancellationToken, Task<BootFiles>> Boot { get; init; }

    /// <summary>The agent's program (static), which containers run; null when there are to be none.</summary>
    public string? AgentPath { get; init; }

    /// <summary>The bridge and its addresses.</summary>
    public NetworkOptions Network { get; init; } = new();

    /// <summary>Of machines whose specification has none. Null for no limit.</summary>
    public IoLimits? Io { get; init; }

    /// <summary>The probe's answer is kept here, shared by hosts on one computer.</summary>
    public string CacheFolder { get; init; } = "/var/cache/byteport";

    /// <summary>
    /// How long the probe's guest may take with QEMU's start before KVM counts as not usable; default 1.5 s. A KVM that emulates
    /// instructions takes minutes.
    /// </summary>
    public TimeSpan KvmProbeLimit { get; init; } = KvmProbe.DefaultLimit;

    /// <summary>How long a machine may take from its process's start to its agent's first answer.</summary>
    public TimeSpan BootTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The most machines at once; a start past it fails with a transient error.</summary>
    public int MaxMachines { get; init; } = 1000;
}
