namespace BytePort.Builds.Detection;

/// <summary>What a source tree is: its services, and why the detector thinks so.</summary>
public sealed record ProjectPlan
{
    /// <summary>From the manifest, or null.</summary>
    public string? Name { get; init; }

    public required IReadOnlyList<ServicePlan> Services { get; init; }

    /// <summary>One sentence per decision, for the deployment's log.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
