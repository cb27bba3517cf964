namespace BytePort.Manifest;

/// <summary>What a service is; decides who serves it and whether it has machines.</summary>
public enum ServiceKind
{
    /// <summary>Files, served by the edge; no machine.</summary>
    Static,

    /// <summary>A process that answers HTTP on <c>$PORT</c>.</summary>
    Web,

    /// <summary>A process without traffic.</summary>
    Worker,

    /// <summary>A process that is started by a schedule and ends.</summary>
    Cron,
}

/// <summary>One service of a project. Null means "not said".</summary>
public sealed record ServiceManifest
{
    /// <summary>The key in <c>services</c>: <c>[a-z][a-z0-9-]{0,38}</c>, unique.</summary>
    public required string Name { get; init; }

    public ServiceKind? Kind { get; init; }

    /// <summary>The folder that the service is built from, relative to the root, with <c>/</c> separators; "." is the root.</summary>
    public string Path { get; init; } = ".";

    /// <summary>A stack, <c>name</c> or <c>name@version</c>, such as <c>node@22</c>.</summary>
    public string? Runtime { get; init; }

    /// <summary>Shell command that installs dependencies, before <see cref="Build"/>.</summary>
    public string? Install { get; init; }

    /// <summary>Shell command that builds, run in <see cref="Path"/>.</summary>
    public string? Build { get; init; }

    /// <summary>Shell command that runs once per deployment before traffic is switched.</summary>
    public string? Release { get; init; }

    /// <summary>Shell command that starts the process.</summary>
    public string? Start { get; init; }

    /// <summary>The folder of built files, relative to <see cref="Path"/> and never outside it.</summary>
    public string? Output { get; init; }

    /// <summary>True: unknown paths of a static site answer index.html.</summary>
    public bool? Spa { get; init; }

    /// <summary>Path prefixes under the project's URL, each starting with <c>/</c>, without a trailing slash (except "/" itself).</summary>
    public IReadOnlyList<string> Routes { get; init; } = [];

    /// <summary>The path that answers 2xx-3xx when the service is healthy.</summary>
    public string? Health { get; init; }

    public MachineSize? Size { get; init; }

    /// <summary>The port that the process listens on, 1-65535; it is what <c>$PORT</c> says.</summary>
    public int? Port { get; init; }

    public ScaleManifest? Scale { get; init; }

    /// <summary>Variables, values exactly as written.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    public IReadOnlyList<VolumeManifest> Volumes { get; init; } = [];

    /// <summary>Five-field cron expression (UTC); given exactly when <see cref="Kind"/> is <see cref="ServiceKind.Cron"/>.</summary>
    public string? Schedule { get; init; }
}

/// <summary>How many instances run, and what makes it more or fewer.</summary>
public sealed record ScaleManifest
{
    /// <summary>Fewest instances, 0-20; 0 lets the service sleep.</summary>
    public int? Min { get; init; }

    /// <summary>Most instances, 1-20.</summary>
    public int? Max { get; init; }

    /// <summary>Requests in flight per instance before another one is started (soft limit).</summary>
    public int? Concurrency { get; init; }

    /// <summary>Percent of the CPU limit, 1-100.</summary>
    public int? Cpu { get; init; }

    /// <summary>Percent of the memory limit, 1-100.</summary>
    public int? Memory { get; init; }

    /// <summary>Time without a request after which a service with <see cref="Min"/> 0 sleeps.</summary>
    public TimeSpan? Idle { get; init; }
}

/// <summary>A disk that survives deployments.</summary>
/// <param name="Name">Unique in the service.</param>
/// <param name="Path">Absolute mount point in the machine, never "/".</param>
/// <param name="Bytes">Size in bytes.</param>
public sealed record VolumeManifest(string Name, string Path, long Bytes);
