using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>
/// What a fresh guest becomes. Sent once over the agent channel, so nothing of it is on a command line or a disk.
/// Devices are named by their virtio serial number (1 to 20 characters); a value that starts with <c>/dev/</c> is that node itself.
/// </summary>
public sealed record GuestConfig
{
    /// <summary>1 to 63 of <c>a-z 0-9 -</c>.</summary>
    public required string Hostname { get; init; }

    /// <summary>EROFS images, lowest first: overlaid they are the root. Empty keeps the initramfs as the root.</summary>
    public IReadOnlyList<string> LayerDevices { get; init; } = [];

    /// <summary>An ext4 disk for what the guest writes; null writes to memory.</summary>
    public string? DiskDevice { get; init; }

    /// <summary>Name to device; each becomes <c>/dev/nanovms/NAME</c>.</summary>
    public IReadOnlyDictionary<string, string> Drives { get; init; } = new Dictionary<string, string>();

    public GuestNetwork? Network { get; init; }

    /// <summary>Name to IPv4 address, into <c>/etc/hosts</c>.</summary>
    public IReadOnlyDictionary<string, string> Hosts { get; init; } = new Dictionary<string, string>();

    /// <summary>PEM; replaces <c>/etc/ssl/certs/ca-certificates.crt</c>. Null keeps the image's own.</summary>
    public string? CaBundle { get; init; }

    /// <summary>True makes the root read-only for programs once it is set up, with <c>/tmp</c> and <c>/run</c> in memory. Needs layers.</summary>
    public bool ReadOnlyRoot { get; init; }

    /// <summary>What runs when the guest is told to shut down, before anything is ended. At most 16; their output is that of the services <c>before-shutdown-1</c> and on.</summary>
    public IReadOnlyList<HookSpec> BeforeShutdown { get; init; } = [];

    public required DateTimeOffset UtcNow { get; init; }

    /// <summary>16 to 512 bytes that only this guest gets.</summary>
    public required ReadOnlyMemory<byte> RandomSeed { get; init; }
}
