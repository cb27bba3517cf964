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

    public string Size { get; init; } = "tier-1";

    /// <summary>From the manifest; the project's variables go on top of them.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    public int MemoryMiB { get; init; } = 128;

    /// <summary>Host processors.</summary>
    public double CpuLimit { get; init; } = 0.1;

    public long DiskBytes { get; init; } = 10L << 30;

    /// <summary>False when the service is files that are served as they are.</summary>
    public bool NeedsMachine => Kind != ServiceKind.Static || InstallCommand is not null || BuildCommand is not null;
}
