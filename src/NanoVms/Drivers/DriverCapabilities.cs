namespace NanoVms.Drivers;

/// <summary>What a driver's machines can do beside running.</summary>
[Flags]
public enum DriverCapabilities
{
    None = 0,

    /// <summary>A kernel of its own: the host's kernel is not what stands between the guest and the rest.</summary>
    OwnKernel = 1,

    /// <summary>Halts with its memory kept.</summary>
    Pause = 2,

    /// <summary>Saved to files and started again from them, once or many times.</summary>
    Snapshot = 4,

    /// <summary>Raw drives that survive the machine.</summary>
    Drives = 8,

    /// <summary>Gives memory that it does not use back to the computer.</summary>
    MemoryReturn = 16,

    /// <summary>PCI devices of the computer.</summary>
    PciDevices = 32,

    /// <summary>Snapshots that hold only what differs from an earlier one.</summary>
    IncrementalSnapshot = 64,
}
