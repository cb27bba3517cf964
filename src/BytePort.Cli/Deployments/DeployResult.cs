using BytePort.Cli.Api;

namespace BytePort.Cli.Deployments;

/// <summary>What <c>deploy</c>, <c>rollback</c> and <c>activate</c> print with --json: one line, and names that never change.</summary>
/// <param name="Project">The project's name.</param>
/// <param name="Deployment">The deployment's number.</param>
/// <param name="Status">queued, building, releasing, live, failed, canceled or superseded.</param>
/// <param name="Url">Where the project answers.</param>
/// <param name="Serving">True: requests are answered by this deployment.</param>
/// <param name="Reason">Why it failed.</param>
/// <param name="Code">The reason's stable code.</param>
/// <param name="Commit">The commit that was deployed, when it came from Git.</param>
/// <param name="Services">The services that were found.</param>
/// <param name="Seconds">From its creation to its end; null while it runs.</param>
internal sealed record DeployResult(
    string Project,
    int Deployment,
    string Status,
    string? Url,
    bool Serving,
    string? Reason,
    string? Code,
    string? Commit,
    IReadOnlyList<DeploymentService> Services,
    double? Seconds)
{
    public static DeployResult From(Deployment deployment) => new(
        deployment.Project,
        deployment.Number,
        deployment.Status,
        deployment.Url,
        deployment.Serving,
        deployment.Reason,
        deployment.Code,
        deployment.Source?.Commit,
        deployment.Services ?? [],
        deployment.FinishedAt is { } end ? Math.Round((end - deployment.CreatedAt).TotalSeconds, 3) : null);
}
