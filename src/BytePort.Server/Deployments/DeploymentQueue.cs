using BytePort.Server.Database;
using BytePort.Server.Environments;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Deployments;

internal enum CancelOutcome
{
    NotFound,
    Finished,
    Canceled,
    Requested,
}

/// <summary>Puts deployments into the queue, cancels them, and hands them to workers under a lease.</summary>
internal sealed class DeploymentQueue(IDbContextFactory<PlatformDb> databases, ChangeHub changes, TimeProvider time)
{
    /// <summary>How long a worker may be silent before another takes its deployment.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    /// <summary>Adds a deployment and supersedes those of the environment that still wait.</summary>
    /// <returns>Its number within the project.</returns>
    public async Task<int> AddAsync(Guid projectId, SourceRequest source, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        // The row lock gives numbers without gaps or doubles, and orders the superseding.
        var number = (await db.Database.SqlQuery<int>($"UPDATE projects SET last_number = last_number + 1 WHERE id = {projectId} RETURNING last_number AS \"Value\"").ToListAsync(cancellationToken))[0];
        var environmentId = await db.Environments.Where(e => e.ProjectId == projectId && e.Name == ProjectEnvironment.Production).Select(e => e.Id).FirstAsync(cancellationToken);
        var now = time.GetUtcNow();
        var superseded = await db.Deployments.Where(d => d.EnvironmentId == environmentId && d.Status == DeploymentStatus.Queued).ToListAsync(cancellationToken);
        foreach (var old in superseded)
        {
            old.Status = DeploymentStatus.Superseded;
            old.Code = "superseded";
            old.Reason = $"Deployment {number} is newer and was queued before this one began.";
            old.FinishedAt = now;
        }

        var deployment = new Deployment
        {
            ProjectId = projectId,
            EnvironmentId = environmentId,
            Number = number,
            SourceKind = source.Git is not null ? "git" : "upload",
            SourceUrl = source.Git?.Url,
            SourceRef = source.Git?.Ref,
            UploadId = source.Upload?.Id,
            CreatedAt = now,
        };
        db.Add(deployment);
        for (var i = 0; i < DeploymentSteps.Names.Count; i++)
        {
            db.Add(new DeploymentStep { DeploymentId = deployment.Id, Name = DeploymentSteps.Names[i], Position = i });
        }

        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        foreach (var old in superseded)
        {
            await changes.AnnounceAsync(Changes.Deployment(old.Id), cancellationToken);
        }

        await changes.AnnounceAsync(Changes.Queue, cancellationToken);
        return number;
    }

    /// <summary>Ends a waiting deployment at once; asks the worker of a running one to stop.</summary>
    public async Task<CancelOutcome> CancelAsync(Guid projectId, int number, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var deployment = await db.Deployments.AsNoTracking().FirstOrDefaultAsync(d => d.ProjectId == projectId && d.Number == number, cancellationToken);
        if (deployment is null)
        {
            return CancelOutcome.NotFound;
        }

        var now = time.GetUtcNow();
        var canceled = await db.Deployments.Where(d => d.Id == deployment.Id && d.Status == DeploymentStatus.Queued)
            .ExecuteUpdateAsync(set => set
                .SetProperty(d => d.Status, DeploymentStatus.Canceled)
                .SetProperty(d => d.Code, "canceled")
                .SetProperty(d => d.Reason, "Canceled before it began.")
                .SetProperty(d => d.FinishedAt, now), cancellationToken);
        var requested = canceled > 0 ? 0 : await db.Deployments
            .Where(d => d.Id == deployment.Id && (d.Status == DeploymentStatus.Building || d.Status == DeploymentStatus.Releasing))
            .ExecuteUpdateAsync(set => set.SetProperty(d => d.CancelRequested, true), cancellationToken);
        await changes.AnnounceAsync(Changes.Deployment(deployment.Id), cancellationToken);
        return canceled > 0 ? CancelOutcome.Canceled : requested > 0 ? CancelOutcome.Requested : CancelOutcome.Finished;
    }

    /// <summary>Takes the oldest deployment that nobody works on and whose environment is free.</summary>
    public async Task<Guid?> ClaimAsync(string owner, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var now = time.GetUtcNow();
        var until = now + Lease;
        try
        {
            var claimed = await db.Database.SqlQuery<Guid>($"""
                UPDATE deployments SET lease_owner = {owner}, lease_until = {until}, started_at = coalesce(started_at, {now}),
                    status = CASE WHEN status = 'queued' THEN 'building' ELSE status END
                WHERE id = (
                    SELECT d.id FROM deployments d
                    WHERE d.status IN ('queued', 'building', 'releasing') AND (d.lease_until IS NULL OR d.lease_until < {now})
                      AND (d.status <> 'queued' OR NOT EXISTS (
                        SELECT 1 FROM deployments o WHERE o.environment_id = d.environment_id AND o.status IN ('building', 'releasing')))
                    ORDER BY d.created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
                RETURNING id AS "Value"
                """).ToListAsync(cancellationToken);
            return claimed.Count > 0 ? claimed[0] : null;
        }
        catch (Npgsql.PostgresException exception) when (exception.SqlState == Npgsql.PostgresErrorCodes.UniqueViolation)
        {
            // Another worker began a deployment of the same environment in the same instant: it goes first.
            return null;
        }
    }

    /// <summary>Says that the worker still lives.</summary>
    /// <returns>Whether the deployment is still this worker's, and whether somebody asked to cancel it.</returns>
    public async Task<(bool Owned, bool CancelRequested)> RenewAsync(Guid id, string owner, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var until = time.GetUtcNow() + Lease;
        var owned = await db.Deployments.Where(d => d.Id == id && d.LeaseOwner == owner).ExecuteUpdateAsync(set => set.SetProperty(d => d.LeaseUntil, until), cancellationToken);
        return (owned > 0, await db.Deployments.Where(d => d.Id == id).Select(d => d.CancelRequested).FirstOrDefaultAsync(cancellationToken));
    }

    /// <summary>Gives back what this node held: at a clean stop, and at a start after a crash (a node runs once, so old leases are dead).</summary>
    public async Task ReleaseAllAsync(string owner, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        await db.Deployments.Where(d => d.LeaseOwner == owner && d.LeaseUntil != null)
            .ExecuteUpdateAsync(set => set.SetProperty(d => d.LeaseUntil, (DateTimeOffset?)null), cancellationToken);
    }
}
