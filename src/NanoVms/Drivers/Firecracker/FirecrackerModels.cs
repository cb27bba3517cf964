using System.Text.Json.Serialization;

namespace NanoVms.Drivers.Firecracker;

// What Firecracker's interface takes and gives, by its OpenAPI document (src/firecracker/swagger/firecracker.yaml). A member
// that is null is left out, so that older versions, which refuse members that they do not know, take the rest.

internal sealed record MachineConfiguration(int VcpuCount, int MemSizeMib)
{
    /// <summary>Needed for snapshots of type Diff.</summary>
    public bool? TrackDirtyPages { get; init; }
}

internal sealed record BootSource(string KernelImagePath)
{
    public string? InitrdPath { get; init; }

    public string? BootArgs { get; init; }
}

internal enum CacheType
{
    /// <summary>The guest's flushes are not passed on.</summary>
    Unsafe,

    Writeback,
}

internal sealed record Drive(string DriveId, string PathOnHost, bool IsReadOnly)
{
    public bool IsRootDevice { get; init; }

    public CacheType CacheType { get; init; }
}

internal sealed record NetworkInterface(string IfaceId, string HostDevName)
{
    public string? GuestMac { get; init; }
}

internal sealed record VsockDevice(uint GuestCid, string UdsPath);

/// <summary>It has no members that are set here; the device itself is what is asked for.</summary>
internal sealed record EntropyDevice;

internal sealed record Balloon(int AmountMib, bool DeflateOnOom)
{
    /// <summary>Above zero has the guest report every so many seconds.</summary>
    public int? StatsPollingIntervalS { get; init; }
}

internal sealed record BalloonUpdate(int AmountMib);

/// <summary>The part of the statistics that is used.</summary>
internal sealed record BalloonStatistics
{
    public required int TargetMib { get; init; }

    public required int ActualMib { get; init; }
}

internal enum LogLevel
{
    Error,
    Warning,
    Info,
    Debug,
    Trace,
    Off,
}

internal sealed record LoggerTarget(string LogPath, LogLevel Level);

internal sealed record MetricsTarget(string MetricsPath);

internal sealed record SerialDevice(string SerialOutPath);

internal enum ActionType
{
    InstanceStart,
    FlushMetrics,
    SendCtrlAltDel,
}

internal sealed record InstanceAction(ActionType ActionType);

internal enum VmStateChange
{
    Paused,
    Resumed,
}

internal sealed record VmUpdate(VmStateChange State);

internal enum SnapshotType
{
    Full,

    /// <summary>Only the memory that was written since the snapshot before.</summary>
    Diff,
}

internal sealed record SnapshotCreation(string SnapshotPath, string MemFilePath, SnapshotType SnapshotType);

internal enum MemoryBackendType
{
    /// <summary>The file is mapped and read when the guest touches it.</summary>
    File,

    /// <summary>A process at a Unix socket fills in what the guest touches.</summary>
    Uffd,
}

internal sealed record MemoryBackend(MemoryBackendType BackendType, string BackendPath);

/// <summary>Another tap for a card of the snapshot.</summary>
internal sealed record NetworkOverride(string IfaceId, string HostDevName);

internal sealed record SnapshotLoad(string SnapshotPath, MemoryBackend MemBackend)
{
    public bool? TrackDirtyPages { get; init; }

    public bool ResumeVm { get; init; }

    public IReadOnlyList<NetworkOverride>? NetworkOverrides { get; init; }
}

internal enum InstanceState
{
    [JsonStringEnumMemberName("Not started")]
    NotStarted,
    Running,
    Paused,
}

internal sealed record InstanceInfo
{
    public required string Id { get; init; }

    public required InstanceState State { get; init; }

    public required string VmmVersion { get; init; }

    public required string AppName { get; init; }
}

internal sealed record VersionAnswer
{
    public required string FirecrackerVersion { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(MachineConfiguration))]
[JsonSerializable(typeof(BootSource))]
[JsonSerializable(typeof(Drive))]
[JsonSerializable(typeof(NetworkInterface))]
[JsonSerializable(typeof(VsockDevice))]
[JsonSerializable(typeof(EntropyDevice))]
[JsonSerializable(typeof(Balloon))]
[JsonSerializable(typeof(BalloonUpdate))]
[JsonSerializable(typeof(BalloonStatistics))]
[JsonSerializable(typeof(LoggerTarget))]
[JsonSerializable(typeof(MetricsTarget))]
[JsonSerializable(typeof(SerialDevice))]
[JsonSerializable(typeof(InstanceAction))]
[JsonSerializable(typeof(VmUpdate))]
[JsonSerializable(typeof(SnapshotCreation))]
[JsonSerializable(typeof(SnapshotLoad))]
[JsonSerializable(typeof(InstanceInfo))]
[JsonSerializable(typeof(VersionAnswer))]
internal sealed partial class FirecrackerJson : JsonSerializerContext;
