using BytePort.Server.Database;
using BytePort.Server.Deployments;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Environments;

/// <summary>Orders that an earlier deployment serve again. A newer order replaces one that still waits.</summary>
internal sealed class ActivationQueue(IDbContextFactory<PlatformDb> databases, ActivationWorker worker, ChangeHub changes, TimeProvider time)
{
    /// <summary>Long enough for a static site, or a release whose machines still run, to be switched before the answer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

    public async Task OrderAsync(Deployment deployment, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var now = time.GetUtcNow();
        await using (var transaction = await db.Database.BeginTransactionAsync(cancellationToken))
        {
            await db.Activations.Where(a => a.EnvironmentId == deployment.EnvironmentId && a.Status == ActivationStatus.Pending)
                .ExecuteUpdateAsync(set => set
                    .SetProperty(a => a.Status, ActivationStatus.Failed)
                    .SetProperty(a => a.Reason, "A newer order replaced this one.")
                    .SetProperty(a => a.FinishedAt, now), cancellationToken);
            db.Activations.Add(new Activation { EnvironmentId = deployment.EnvironmentId, DeploymentId = deployment.Id, CreatedAt = now });
            await db.SaveChangesAsync(cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }

        var change = changes.NextChange(Changes.Deployment(deployment.Id));
        worker.Wake();
        await changes.WaitAsync(change, Patience, cancellationToken);
    }
}
