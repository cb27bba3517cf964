using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>Which bus the machine's devices are on, and with it which kind of machine this is.</summary>
internal static class Bus
{
    /// <summary>QEMU's microvm and Firecracker; others have PCI. LNRO0005 is the ACPI name of a virtio-mmio device.</summary>
    public static bool IsMmio { get; } = Files.List("/sys/bus/acpi/devices").Exists(name => name.StartsWith("LNRO0005", StringComparison.Ordinal));
}
