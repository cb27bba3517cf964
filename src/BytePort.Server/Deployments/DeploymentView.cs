using BytePort.Server.Environments;

namespace BytePort.Server.Deployments;

/// <summary>A deployment as the API shows it.</summary>
internal sealed record DeploymentView(
    string Project,
    int Number,
    DeploymentStatus Status,
    bool Serving,
    string Url,
    string? Code,
    string? Reason,
    SourceView Source,
    IReadOnlyList<StepView> Steps,
    IReadOnlyList<ServiceView> Services,
    ActivationView? Activation,
    int? QueuePosition,
    DateTimeOffset CreatedAt,
    DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt)
{
    /// <summary>Always the same on the wire: which deployment this is, beside its project.</summary>
    public int Deployment => Number;
}

internal sealed record SourceView(string Kind, string? Url, string? Ref, string? Commit, string? Message);

internal sealed record StepView(string Name, StepStatus Status, DateTimeOffset? StartedAt, DateTimeOffset? FinishedAt, string? Reason);

internal sealed record ServiceView(string Name, string Kind);

/// <summary>The newest order to let this deployment serve again.</summary>
internal sealed record ActivationView(ActivationStatus Status, string? Reason, DateTimeOffset CreatedAt, DateTimeOffset? FinishedAt);

internal sealed record LogLineView(long Offset, string Step, DateTimeOffset Time, string Stream, string Text);

/// <summary>A part of a deployment's log; <paramref name="End"/> says that no more will come.</summary>
internal sealed record LogPage(IReadOnlyList<LogLineView> Items, long Next, bool End);
