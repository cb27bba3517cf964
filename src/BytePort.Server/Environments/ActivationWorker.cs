using BytePort.Server.Database;
using BytePort.Server.Deployments;
using Microsoft.EntityFrameworkCore;
using NanoVms.Machines;
using Npgsql;

namespace BytePort.Server.Environments;

/// <summary>Carries out activations: starts the deployment's machines if they are gone, then moves the environment's pointer.</summary>
internal sealed class ActivationWorker(IDbContextFactory<PlatformDb> databases, Releaser releaser, ChangeHub changes, TimeProvider time, ILogger<ActivationWorker> logger)
    : BackgroundService
{
    private const string WakeKey = "activations";

    public void Wake() => changes.Wake(WakeKey);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var running = new Dictionary<Guid, Task>();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var change = changes.NextChange(WakeKey);
                foreach (var ended in running.Where(pair => pair.Value.IsCompleted).Select(pair => pair.Key).ToList())
                {
                    running.Remove(ended);
                }

                await using var db = await databases.CreateDbContextAsync(stoppingToken);
                foreach (var activation in await db.Activations.AsNoTracking().Where(a => a.Status == ActivationStatus.Pending).ToListAsync(stoppingToken))
                {
                    if (!running.ContainsKey(activation.Id))
                    {
                        running[activation.Id] = CarryOutAsync(activation, stoppingToken);
                    }
                }

                await changes.WaitAsync(change, TimeSpan.FromSeconds(5), stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or DbUpdateException or InvalidOperationException)
            {
                Log.ActivationTrouble(logger, exception);
                await Task.Delay(TimeSpan.FromSeconds(2), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task CarryOutAsync(Activation activation, CancellationToken stoppingToken)
    {
        string? reason = null;
        try
        {
            await using var db = await databases.CreateDbContextAsync(stoppingToken);
            var deployment = await db.Deployments.AsNoTracking().FirstAsync(d => d.Id == activation.DeploymentId, stoppingToken);
            await releaser.StartAsync(deployment, _ => { }, stoppingToken);
            // A newer order may have come while the machines started.
            if (await db.Activations.AnyAsync(a => a.Id == activation.Id && a.Status == ActivationStatus.Pending, stoppingToken))
            {
                await releaser.SwitchAsync(deployment, _ => { }, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
        catch (Exception exception) when (exception is DeploymentFailure or MachineException)
        {
            reason = exception.Message;
        }
        catch (Exception exception)
        {
            Log.ActivationTrouble(logger, exception);
            reason = "The platform failed; the administrator finds the details in the server's log.";
        }

        await using (var db = await databases.CreateDbContextAsync(CancellationToken.None))
        {
            var now = time.GetUtcNow();
            await db.Activations.Where(a => a.Id == activation.Id && a.Status == ActivationStatus.Pending).ExecuteUpdateAsync(set => set
                .SetProperty(a => a.Status, reason is null ? ActivationStatus.Done : ActivationStatus.Failed)
                .SetProperty(a => a.Reason, reason)
                .SetProperty(a => a.FinishedAt, now), CancellationToken.None);
        }

        await changes.AnnounceAsync(Changes.Deployment(activation.DeploymentId), CancellationToken.None);
    }
}
