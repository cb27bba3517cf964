using BytePort.Manifest;

namespace BytePort.Builds.Detection;

/// <summary>What the files of a folder say about a service. Null means: they say nothing.</summary>
internal sealed record Detected
{
    public required ServiceKind Kind { get; init; }

    public string? Stack { get; init; }

    public string? InstallCommand { get; init; }

    /// <summary>Instead of <see cref="InstallCommand"/> when no build follows.</summary>
    public string? InstallForRunCommand { get; init; }

    public string? BuildCommand { get; init; }

    public string? PruneCommand { get; init; }

    public string? StartCommand { get; init; }

    public string? Output { get; init; }

    public bool Spa { get; init; }

    public IReadOnlyList<string> Notes { get; init; } = [];
}
