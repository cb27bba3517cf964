using System.Text.Json.Serialization;
using BytePort.Manifest.Hac;

namespace BytePort.Cli.Api;

// The shapes of /api/v1 that the CLI uses; what it prints with --json has the same names. Statuses stay text, so that a newer server
// can say more than this CLI knows.

internal sealed record ServerInfo(string Name, string Version, string? AppDomain, string? Url);

internal sealed record Page<T>(IReadOnlyList<T> Items, string? Next);

internal sealed record Project(
    string Name,
    string Status,
    string? Url,
    DateTimeOffset CreatedAt,
    IReadOnlyList<ProjectService>? Services,
    Deployment? Live,
    Deployment? Latest);

internal sealed record ProjectService(string Name, string Kind, IReadOnlyList<string>? Routes, string? Status, IReadOnlyList<Instance>? Instances);

internal sealed record Instance(string? Machine, string Status, string? Reason, int Restarts);

internal sealed record Deployment(
    string Project,
    int Number,
    string Status,
    bool Serving,
    string? Url,
    string? Reason,
    string? Code,
    DeploymentOrigin? Source,
    IReadOnlyList<DeploymentStep>? Steps,
    IReadOnlyList<DeploymentService>? Services,
    Activation? Activation,
    int? QueuePosition,
    DateTimeOffset CreatedAt,
    DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt)
{
    /// <summary>True: the status will not change any more, except that a live deployment may be replaced.</summary>
    public bool IsFinished => Status is "live" or "failed" or "canceled" or "superseded";
}

/// <summary>The newest order to let a deployment serve again: pending, done or failed.</summary>
internal sealed record Activation(string Status, string? Reason);

internal sealed record DeploymentOrigin(string Kind, string? Url, string? Ref, string? Commit, string? Message);

internal sealed record DeploymentStep(string Name, string Status, DateTimeOffset? StartedAt, DateTimeOffset? FinishedAt, string? Reason);

internal sealed record DeploymentService(string Name, string Kind);

internal sealed record LogLine(
    long Offset,
    DateTimeOffset Time,
    string? Stream,
    string Text,
    string? Step = null,
    string? Service = null,
    string? Machine = null);

internal sealed record LogPage(IReadOnlyList<LogLine> Items, long? Next, bool End);

internal sealed record Machine(
    string Id,
    string Name,
    string? Project,
    string? Service,
    int? Deployment,
    string State,
    string? Instance,
    string? Driver,
    bool Accelerated,
    string? Address,
    int Cpus,
    double? CpuLimit,
    int MemoryMiB,
    DateTimeOffset? StartedAt,
    int Restarts,
    string? Image = null,
    string? Description = null,
    Dictionary<int, int>? Ports = null,
    string? Template = null,
    bool NestedVirtualization = false,
    MachineLimits? Limits = null,
    string? Reason = null,
    string? BootedInstead = null);

/// <summary>A machine by itself as it is wanted; what is null is the server's choice.</summary>
internal sealed record SpawnRequest(
    string? Name,
    string? Ref,
    string? Description,
    uint? Cores,
    int? MemoryMiB,
    long? DriveBytes,
    string? Kernel,
    IReadOnlyList<string>? Interfaces,
    string? Driver,
    IReadOnlyList<string>? Command,
    IReadOnlyDictionary<string, string>? Environment,
    IReadOnlyDictionary<int, int>? Ports,
    bool DryRun)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Routes { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Template { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Os { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? MachineType { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Persistent { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? BootMessages { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? PciDevices { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? PciKinds { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? NestedVirtualization { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MachineLimits? Limits { get; init; }
}

/// <summary>A piece of a console.</summary>
/// <param name="Offset">Of the first byte; what lies between two pieces was not kept.</param>
internal sealed record ConsolePiece(long Offset, long Next, byte[] Data);

internal sealed record ConsolePage(IReadOnlyList<ConsolePiece> Items, long Next);

internal sealed record MachineTemplate(
    string Name,
    string? Description,
    string Image,
    string Driver,
    uint Cores,
    int MemoryMiB,
    bool IsPersistent,
    IReadOnlyList<string> Scripts,
    bool HasConfig,
    bool HasData,
    string Digest,
    int Files,
    long Size,
    DateTimeOffset PushedAt);

internal sealed record TemplateRequest(UploadRequest Upload, bool ReplaceData);

/// <summary>An operating system of the catalogue.</summary>
internal sealed record MachineSystem(string Name, string Title, string Location, string Verification, bool IsHere);

/// <summary>A PCI device of the server's computer.</summary>
internal sealed record PciDevice(
    string Address, string Class, string ClassName, string Vendor, string Device, string? Name, string? Driver, int? IommuGroup, string? Machine);

internal sealed record MachineNetwork(string Name, string Prefix, DateTimeOffset CreatedAt, string? Router, IReadOnlyList<string> Machines);

internal sealed record NetworkRequest(string Name);

internal sealed record MachineDisk(string Name, long Size, string? Machine, DateTimeOffset WrittenAt);

internal sealed record MachineStats(
    double CpuSeconds,
    double UptimeSeconds,
    long MemoryUsed,
    long MemoryTotal,
    long DiskUsed,
    long DiskTotal,
    long NetworkReceived,
    long NetworkSent);

internal sealed record MachineSnapshot(string Id, string Name, string Driver, int Cpus, int MemoryMiB, DateTimeOffset CreatedAt, string? Parent, long Bytes);

internal sealed record RestoreRequest(string? Name, int Count);

internal sealed record MachineDriver(string Name, bool Usable, bool Accelerated, string Reason);

/// <summary>A process to run in a machine.</summary>
internal sealed record ExecRequest(
    IReadOnlyList<string>? Command,
    Dictionary<string, string>? Environment,
    string? WorkingDirectory,
    string? Account,
    int? Seconds = null,
    ExecSize? Terminal = null,
    bool? Input = null);

internal sealed record ExecSize(int Columns, int Rows);

/// <summary>How a process that was waited for ended, with what it wrote.</summary>
internal sealed record ExecResult(int? ExitCode, int? Signal, string Reason, string Output, string Error, bool Truncated);

/// <summary>What is told to a running process.</summary>
internal sealed record ExecControl(ExecSize? Resize = null, int? Signal = null, bool? End = null);

/// <summary>The last word of the server about a process.</summary>
internal sealed record ExecEnd(ExecExit? Exit, string? Error);

internal sealed record ExecExit(int? ExitCode, int? Signal, string Reason);

internal sealed record Upload(string Id, string Url, DateTimeOffset ExpiresAt);

internal sealed record EmptyRequest;

internal sealed record DeploymentRequest(SourceRequest Source);

internal sealed record SourceRequest(GitRequest? Git, UploadRequest? Upload);

internal sealed record GitRequest(string Url, string? Ref);

internal sealed record UploadRequest(string Id);

/// <summary>RFC 9457 problem details with BytePort's stable code.</summary>
internal sealed record Problem(string? Title, string? Detail, string? Code);
