using System.Text.Json.Serialization;

namespace NanoVms.Drivers.CloudHypervisor;

// What Cloud Hypervisor's interface takes and gives, by its OpenAPI document (vmm/src/api/openapi/cloud-hypervisor.yaml): the
// members that are set here. Sizes are in bytes.

internal sealed record PayloadConfig(string Kernel, string Cmdline, string Initramfs);

internal sealed record CpusConfig(int BootVcpus, int MaxVcpus);

internal sealed record MemoryConfig(long Size)
{
    /// <summary>Mapped shared: other processes of the user could map it too.</summary>
    public bool? Shared { get; init; }
}

internal enum ImageType
{
    /// <summary>Never guessed from content: a guest could write another format's header and reach other files by it.</summary>
    Raw,
}

internal sealed record DiskConfig(string Path, string Serial)
{
    public bool Readonly { get; init; }

    public ImageType ImageType { get; init; }
}

/// <summary>Its tap is handed over with it.</summary>
internal sealed record NetConfig(string Id, string Mac);

internal sealed record VsockConfig(uint Cid, string Socket);

internal sealed record RngConfig(string Src);

internal sealed record BalloonConfig(long Size)
{
    public bool DeflateOnOom { get; init; }

    public bool FreePageReporting { get; init; }
}

internal enum ConsoleMode
{
    Off,
    Pty,
    Tty,
    File,
    Socket,
    Null,
}

internal sealed record ConsoleConfig(ConsoleMode Mode)
{
    /// <summary>For <see cref="ConsoleMode.Socket"/>.</summary>
    public string? Socket { get; init; }
}

internal sealed record VmConfig(PayloadConfig Payload)
{
    public required CpusConfig Cpus { get; init; }

    public required MemoryConfig Memory { get; init; }

    public IReadOnlyList<DiskConfig>? Disks { get; init; }

    public VsockConfig? Vsock { get; init; }

    public RngConfig? Rng { get; init; }

    public BalloonConfig? Balloon { get; init; }

    public ConsoleConfig? Serial { get; init; }

    public ConsoleConfig? Console { get; init; }
}

internal sealed record VmResize
{
    public long? DesiredBalloon { get; init; }
}

internal sealed record SnapshotConfig(string DestinationUrl);

internal enum MemoryRestoreMode
{
    /// <summary>All is read before the machine runs.</summary>
    Copy,

    /// <summary>Read when the guest touches it, by userfaultfd.</summary>
    OnDemand,
}

internal sealed record RestoreConfig(string SourceUrl)
{
    public MemoryRestoreMode? MemoryRestoreMode { get; init; }

    /// <summary>The cards of the snapshot whose taps are handed over with the order. Not in the OpenAPI document; since version 40.</summary>
    public IReadOnlyList<RestoredNet>? NetFds { get; init; }
}

/// <param name="NumFds">How many of the files that were handed over are this card's; cards take them in their order.</param>
internal sealed record RestoredNet(string Id, int NumFds);

internal enum VmState
{
    Created,
    Running,
    Shutdown,
    Paused,
    BreakPoint,
}

/// <summary>The part of the description that is used.</summary>
internal sealed record VmInfo
{
    public required VmState State { get; init; }

    public required VmInfoConfig Config { get; init; }

    /// <summary>The guest's memory less what its balloon holds.</summary>
    public long? MemoryActualSize { get; init; }
}

/// <summary>Of the machine's description what is used.</summary>
internal sealed record VmInfoConfig(MemoryConfig Memory);

internal sealed record PingAnswer
{
    public required string Version { get; init; }

    public long? Pid { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(VmConfig))]
[JsonSerializable(typeof(NetConfig))]
[JsonSerializable(typeof(VmResize))]
[JsonSerializable(typeof(SnapshotConfig))]
[JsonSerializable(typeof(RestoreConfig))]
[JsonSerializable(typeof(VmInfo))]
[JsonSerializable(typeof(PingAnswer))]
[JsonSerializable(typeof(Dictionary<string, Dictionary<string, long>>), TypeInfoPropertyName = "Counters")]
internal sealed partial class CloudHypervisorJson : JsonSerializerContext;
