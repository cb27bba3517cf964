using System.Text.Json.Serialization;
using BytePort.Manifest;

namespace BytePort.Builds.Detection;

/// <summary>Everything that building and running one service needs, with every gap filled.</summary>
public sealed record ServicePlan
{
    /// <summary>Unique in the project.</summary>
    public required string Name { get; init; }

    public required ServiceKind Kind { get; init; }

    /// <summary>Folder of the service in the source: relative, <c>/</c> between names, empty for the root.</summary>
    public string Path { get; init; } = "";

    /// <summary>Runtime image, for example <c>node@22</c>; null for a static service without a build.</summary>
    public string? Stack { get; init; }

    /// <summary>Shell command that installs dependencies, or null.</summary>
    public string? InstallCommand { get; init; }

    /// <summary>Shell command that builds, or null.</summary>
    public string? BuildCommand { get; init; }

    /// <summary>Shell command run after the build to drop what only the build needed, or null.</summary>
    public string? PruneCommand { get; init; }

    /// <summary>Shell command that starts the service; null for a static one.</summary>
    public string? StartCommand { get; init; }

    /// <summary>Shell command run once per deployment before traffic, or null.</summary>
    public string? ReleaseCommand { get; init; }

    /// <summary>Static: the folder to serve, relative to <see cref="Path"/>; empty for all of it.</summary>
    public string? Output { get; init; }

    /// <summary>Static: paths that match no file are answered with index.html.</summary>
    public bool Spa { get; init; }

    /// <summary>Path prefixes that reach the service, each beginning with <c>/</c>. Empty for a worker.</summary>
    public IReadOnlyList<string> Routes { get; init; } = [];

    public string? HealthPath { get; init; }

    /// <summary>Memory, processor time and disk of an instance.</summary>
    public MachineSize Size { get; init; } = MachineSize.Tier1;

    /// <summary>The port the service wants as <c>PORT</c>; any when null.</summary>
    public int? Port { get; init; }

    /// <summary>How many instances run, or null when the manifest does not say.</summary>
    public ScaleManifest? Scale { get; init; }

    public IReadOnlyList<VolumeManifest> Volumes { get; init; } = [];

    /// <summary>Cron expression (UTC) of a <see cref="ServiceKind.Cron"/> service.</summary>
    public string? Schedule { get; init; }

    /// <summary>From the manifest; the project's variables go on top of them.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    [JsonIgnore]
    public int MemoryMiB => Size.MemoryMiB;

    /// <summary>Host processors.</summary>
    [JsonIgnore]
    public double CpuLimit => Size.Cpus;

    [JsonIgnore]
    public long DiskBytes => Size.DiskBytes;

    /// <summary>False when the service is files that are served as they are.</summary>
    [JsonIgnore]
    public bool NeedsMachine => Kind != ServiceKind.Static || InstallCommand is not null || BuildCommand is not null;
}
