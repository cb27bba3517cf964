namespace NanoVms.Machines;

/// <summary>What kind of computer a virtual machine looks like.</summary>
public enum MachineType
{
    /// <summary>The smallest that has all that the machine needs.</summary>
    Auto = 0,

    /// <summary>QEMU's microvm: virtio devices without a bus to search, so it boots fastest.</summary>
    Microvm,

    /// <summary>QEMU's q35: a PC with PCI Express, for devices of the computer and for guests that expect a PC.</summary>
    Q35,
}
