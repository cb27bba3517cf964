using BytePort.Server.Database;
using BytePort.Server.Hosting;
using BytePort.Server.Projects;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Deployments;

/// <summary>Reads deployments as the API shows them.</summary>
internal static class DeploymentQueries
{
    /// <summary>The team's project of that name that is not destroyed.</summary>
    public static Task<Project?> FindProjectAsync(this PlatformDb db, Guid teamId, string name, CancellationToken cancellationToken)
        => db.Projects.AsNoTracking().FirstOrDefaultAsync(p => p.TeamId == teamId && p.Name == name && p.DestroyedAt == null, cancellationToken);

    public static async Task<IReadOnlyList<DeploymentView>> ViewDeploymentsAsync(
        this PlatformDb db, Project project, ServerOptions options, Func<IQueryable<Deployment>, IQueryable<Deployment>> filter, CancellationToken cancellationToken)
    {
        var rows = await filter(db.Deployments.AsNoTracking().Where(d => d.ProjectId == project.Id)).ToListAsync(cancellationToken);
        var ids = rows.ConvertAll(d => d.Id);
        var steps = (await db.Steps.AsNoTracking().Where(s => ids.Contains(s.DeploymentId)).OrderBy(s => s.Position).ToListAsync(cancellationToken)).ToLookup(s => s.DeploymentId);
        var activations = (await db.Activations.AsNoTracking().Where(a => ids.Contains(a.DeploymentId)).OrderBy(a => a.CreatedAt).ToListAsync(cancellationToken)).ToLookup(a => a.DeploymentId);
        var live = await db.Environments.AsNoTracking().Where(e => e.ProjectId == project.Id).Select(e => e.LiveDeploymentId).ToListAsync(cancellationToken);
        List<Guid> queue = rows.Exists(d => d.Status == DeploymentStatus.Queued)
            ? await db.Deployments.Where(d => d.Status == DeploymentStatus.Queued).OrderBy(d => d.CreatedAt).Select(d => d.Id).ToListAsync(cancellationToken)
            : [];
        return rows.ConvertAll(d =>
        {
            var activation = activations[d.Id].LastOrDefault();
            return new DeploymentView(
                project.Name,
                d.Number,
                d.Status,
                live.Contains(d.Id),
                options.AppUrl(project.Name).ToString().TrimEnd('/'),
                d.Code,
                d.Reason,
                new SourceView(d.SourceKind, d.SourceUrl, d.SourceRef, d.Commit, d.CommitMessage),
                [.. steps[d.Id].Select(s => new StepView(s.Name, s.Status, s.StartedAt, s.FinishedAt, s.Reason))],
                d.Plan is null ? [] : [.. DeploymentPlan.Parse(d.Plan).Services.Select(s => new ServiceView(s.Plan.Name, s.Plan.Kind.ToString().ToLowerInvariant()))],
                activation is null ? null : new ActivationView(activation.Status, activation.Reason, activation.CreatedAt, activation.FinishedAt),
                d.Status == DeploymentStatus.Queued ? queue.IndexOf(d.Id) + 1 : null,
                d.CreatedAt,
                d.StartedAt,
                d.FinishedAt);
        });
    }

    public static async Task<DeploymentView?> ViewDeploymentAsync(this PlatformDb db, Project project, ServerOptions options, int number, CancellationToken cancellationToken)
        => (await db.ViewDeploymentsAsync(project, options, all => all.Where(d => d.Number == number), cancellationToken)) is [var only] ? only : null;
}
