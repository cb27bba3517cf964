using NanoVms.Machines;

namespace NanoVms.Drivers.Qemu;

/// <summary>One disk of a machine.</summary>
/// <param name="Serial">How the guest finds it: 1 to 20 characters.</param>
/// <param name="File">Number of the inherited file.</param>
/// <param name="IsEphemeral">True when its content need not survive the machine, so that the guest's flushes may be skipped.</param>
internal sealed record QemuDisk(string Serial, int File, bool ReadOnly, bool IsEphemeral);

/// <summary>One network card of a machine.</summary>
/// <param name="Tap">How QEMU is told which tap.</param>
internal sealed record QemuCard(string Tap, string Mac)
{
    /// <param name="file">Number of the inherited tap.</param>
    public static QemuCard Of(int file, string mac) => new($"fd={file.ToString(System.Globalization.CultureInfo.InvariantCulture)}", mac);

    /// <param name="name">Of a tap in its own network.</param>
    public static QemuCard Of(string name, string mac) => new($"ifname={name},script=no,downscript=no", mac);
}

/// <summary>All that decides a machine's command line; files are numbers that the process inherits.</summary>
internal sealed record QemuLaunch
{
    /// <summary>The machine host's id: with <see cref="MachineId"/> in the arguments, by which a process without a state file is found.</summary>
    public required string HostId { get; init; }

    public required string MachineId { get; init; }

    public required int Cpus { get; init; }

    public required int MemoryMiB { get; init; }

    public required string KernelPath { get; init; }

    public required string InitramfsPath { get; init; }

    public required string CommandLine { get; init; }

    /// <summary>True for a PC with PCI Express (q35), false for a microvm.</summary>
    public bool IsPc { get; init; }

    /// <summary>True for KVM, false for TCG.</summary>
    public required bool Accelerated { get; init; }

    /// <summary>True when the guest's processor has virtualization.</summary>
    public bool IsNested { get; init; }

    public required IReadOnlyList<QemuDisk> Disks { get; init; }

    /// <summary>Of the disks that it may write, together; null for no limit.</summary>
    public IoLimits? Io { get; init; }

    /// <summary>The guest's memory: <see cref="QemuMemory"/>.</summary>
    public required int MemoryFile { get; init; }

    /// <summary>True when memory holds a snapshot whose devices are loaded next.</summary>
    public bool IsRestored { get; init; }

    /// <summary>Listening Unix socket for the agent's channel.</summary>
    public required int AgentFile { get; init; }

    /// <summary>Listening Unix socket for the monitor.</summary>
    public required int MonitorFile { get; init; }

    /// <summary>Addresses of the computer's PCI devices that it has.</summary>
    public IReadOnlyList<string> PciDevices { get; init; } = [];

    /// <summary>In the order of their names in the guest.</summary>
    public IReadOnlyList<QemuCard> Cards { get; init; } = [];

    public int Mtu { get; init; }
}
