using System.Text.Json.Serialization;
using NanoVms.Network;

namespace NanoVms.Machines;

/// <summary>What a machine is made of. Immutable; kept with the machine.</summary>
public sealed record MachineSpec
{
    private const int Sigterm = 15;

    /// <summary>For people: 1 to 60 of <c>a-z 0-9 -</c>. Several machines may share one.</summary>
    public required string Name { get; init; }

    /// <summary>Virtual processors, 1 to 64.</summary>
    public int Cpus { get; init; } = 1;

    /// <summary>Host processors' worth of time, 0.01 or more; null for no limit. Enforced once <see cref="BootBurst"/> is over.</summary>
    public double? CpuLimit { get; init; }

    /// <summary>Of the computer's disks, from the start on; null for the host's <see cref="MachineHostOptions.Io"/>.</summary>
    public IoLimits? Io { get; init; }

    /// <summary>How long after the main process's start the machine may still use its processors whole.</summary>
    public TimeSpan BootBurst { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The guest's memory, 64 MiB to 1 TiB.</summary>
    public int MemoryMiB { get; init; } = 256;

    /// <summary>Size of the writable layer in bytes, 16 MiB to 16 TiB; sparse, so that only what is written takes room.</summary>
    public long DiskBytes { get; init; } = 10L << 30;

    /// <summary>EROFS image files, absolute, lowest first; overlaid they are the guest's root.</summary>
    public IReadOnlyList<string> Layers { get; init; } = [];

    public IReadOnlyList<DriveSpec> Drives { get; init; } = [];

    public NetworkMode Network { get; init; } = NetworkMode.Nat;

    /// <summary>
    /// The networks that it has a card in, <c>eth0</c> and on in this order, at most 8; none for <see cref="NetworkCard.Default"/> alone. Needs
    /// <see cref="NetworkMode.Nat"/>.
    /// </summary>
    // Null in the state file of a machine that an earlier version started.
    public IReadOnlyList<NetworkCard> Networks { get; init => field = value ?? []; } = [];

    /// <summary>Null for the host's <see cref="NetworkOptions.Rate"/>.</summary>
    public RateLimits? Rate { get; init; }

    /// <summary>Certificate authorities (PEM) that the guest should trust, or null for its image's own. Not kept: null on an adopted machine.</summary>
    [JsonIgnore]
    public string? CaBundle { get; init; }

    /// <summary>Names the guest resolves by itself, to IPv4 addresses.</summary>
    public IReadOnlyDictionary<string, string> Hosts { get; init; } = new Dictionary<string, string>();

    /// <summary>Ports of the computer that lead to the machine; at most 64.</summary>
    // Null in the state file of a machine that an earlier version started.
    public IReadOnlyList<PortMapping> Ports { get; init => field = value ?? []; } = [];

    /// <summary>
    /// True gives programs a root that they cannot write, with <c>/tmp</c> and <c>/run</c> in memory. It guards against mistakes and
    /// against programs that are not root. Needs layers.
    /// </summary>
    public bool ReadOnlyRoot { get; init; }

    /// <summary>
    /// What the guest runs when it is stopped, before its main process gets its stop signal, within the grace of the stop. At most 16. Kept
    /// with the machine: put no secrets into their environment.
    /// </summary>
    public IReadOnlyList<HookSpec> BeforeShutdown { get; init; } = [];

    /// <summary>Folders that the machine has a copy of and gives back. At most 16.</summary>
    // Null in the state file of a machine that an earlier version started, as the lists below.
    public IReadOnlyList<SharedFolderSpec> SharedFolders { get; init => field = value ?? []; } = [];

    /// <summary>
    /// A file on the host that is the writable layer and stays when the machine goes; made with <see cref="DiskBytes"/> when it is missing.
    /// One machine at a time may have it. Null for a layer that goes with the machine.
    /// </summary>
    public string? DiskPath { get; init; }

    /// <summary>What computer the machine looks like; only QEMU has a choice.</summary>
    public MachineType MachineType { get; init; }

    /// <summary>PCI devices of the computer that the machine has for itself, by address such as <c>0000:01:00.0</c>. QEMU's q35 only.</summary>
    public IReadOnlyList<string> PciDevices { get; init => field = value ?? []; } = [];

    /// <summary>
    /// Kinds of PCI devices of which it has all of the computer's: <c>vga</c> and its like, a class of two or four hexadecimal digits, or
    /// <c>vendor:device</c>.
    /// </summary>
    public IReadOnlyList<string> PciKinds { get; init => field = value ?? []; } = [];

    /// <summary>True has the guest's kernel tell the console all about its boot, which makes it slower; else it tells what is wrong.</summary>
    public bool BootMessages { get; init; }

    /// <summary>What the main process gets first when the machine is stopped, 1 to 64; by default SIGTERM, 15. Images may say another.</summary>
    // Zero in the state file of a machine that an earlier version started.
    public int StopSignal { get; init => field = value == 0 ? Sigterm : value; } = Sigterm;

    /// <summary>
    /// True gives the guest's processor the means to run machines itself. Off by default: it lets the guest reach code of the
    /// computer's kernel that others do not. Under KVM the computer must allow it (<c>nested</c> of its KVM module).
    /// </summary>
    public bool NestedVirtualization { get; init; }

    /// <summary>The isolation group, for example a team.</summary>
    public string Owner { get; init; } = "";

    /// <summary>
    /// Machines of one group reach each other on the host's network, and no others; empty for none. At most 200 characters. No stranger
    /// may choose it: who gives two owners one group connects them.
    /// </summary>
    // Null in the state file of a machine that an earlier version started.
    public string Group { get; init => field = value ?? ""; } = "";

    /// <summary>
    /// The machines of its group and of its private networks resolve <c>NAME.internal</c> to this one while it runs and is announced; several may have one name. 1 to 63
    /// of <c>a-z 0-9 -</c>; null for none.
    /// </summary>
    public string? GroupName { get; init; }

    /// <summary>False keeps <see cref="GroupName"/> back until <see cref="Machine.SetAnnounced"/> says otherwise.</summary>
    public bool Announced { get; init; } = true;

    /// <summary>Kept with the machine and given back by <see cref="Machine.Spec"/>; nothing here reads them.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary><c>auto</c>, <c>qemu</c> or <c>container</c>; <c>auto</c> never chooses a container.</summary>
    public string Driver { get; init; } = "auto";
}
