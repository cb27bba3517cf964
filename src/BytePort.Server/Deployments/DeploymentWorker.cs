using BytePort.Builds.Detection;
using BytePort.Builds.Services;
using BytePort.Builds.Sources;
using BytePort.Server.Database;
using BytePort.Server.Hosting;
using BytePort.Server.Uploads;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace BytePort.Server.Deployments;

/// <summary>Carries out deployments: claims one under a lease, runs its steps in order, records each outcome.</summary>
/// <remarks>
/// 1. Claim, or sleep until the queue changes. 2. Renew the lease while working; a lost lease or a cancel request stops the work.
/// 3. Run the steps that are not done; steps that only fill memory run again after a take-over. 4. Record how it ended.
/// A stopping server gives its deployments back unfinished; the next start resumes them.
/// </remarks>
internal sealed class DeploymentWorker(
    IDbContextFactory<PlatformDb> databases,
    NpgsqlDataSource dataSource,
    DeploymentQueue queue,
    DeploymentSteps steps,
    UploadStore uploads,
    ChangeHub changes,
    Node node,
    ServerOptions options,
    TimeProvider time,
    ILogger<DeploymentWorker> logger)
    : BackgroundService
{
    private const int BuildsAtOnce = 2;

    private static readonly TimeSpan RenewEvery = DeploymentQueue.Lease / 6;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await queue.ReleaseAllAsync(node.Id, stoppingToken);
        RemoveLeftovers();
        try
        {
            await Task.WhenAll(Enumerable.Range(0, BuildsAtOnce).Select(_ => WorkAsync(stoppingToken)));
        }
        finally
        {
            await queue.ReleaseAllAsync(node.Id, CancellationToken.None);
        }
    }

    private async Task WorkAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var change = changes.NextChange(Changes.Queue);
                // 1.
                if (await queue.ClaimAsync(node.Id, stoppingToken) is { } id)
                {
                    await CarryOutAsync(id, stoppingToken);
                }
                else
                {
                    await changes.WaitAsync(change, TimeSpan.FromSeconds(5), stoppingToken);
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or DbUpdateException or IOException or InvalidOperationException or TimeoutException)
            {
                // The database is away for a moment; the lease keeps the deployment for us or gives it to another.
                Log.WorkerTrouble(logger, exception);
                await Task.Delay(TimeSpan.FromSeconds(2), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task CarryOutAsync(Guid id, CancellationToken stoppingToken)
    {
        await using var db = await databases.CreateDbContextAsync(stoppingToken);
        var deployment = await db.Deployments.AsNoTracking().FirstAsync(d => d.Id == id, stoppingToken);
        var project = await db.Projects.AsNoTracking().FirstAsync(p => p.Id == deployment.ProjectId, stoppingToken);
        var folder = options.InData("work", id.ToString("N"));
        Directory.CreateDirectory(folder);
        using var canceled = new CancellationTokenSource();
        using var lost = new CancellationTokenSource();
        using var work = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, canceled.Token, lost.Token);
        using var done = new CancellationTokenSource();
        // 2.
        var renewing = RenewAsync(id, canceled, lost, done.Token);
        var log = await DeploymentLog.OpenAsync(id, databases, dataSource, changes, time, stoppingToken);
        try
        {
            Log.Began(logger, project.Name, deployment.Number);
            await RunStepsAsync(new DeploymentRun(deployment, project.Name, project.TeamId, folder, log), work.Token);
            await FinishAsync(deployment, DeploymentStatus.Live, null, null);
            Log.Live(logger, project.Name, deployment.Number);
        }
        catch (OperationCanceledException) when (work.IsCancellationRequested)
        {
            if (canceled.IsCancellationRequested)
            {
                log.Say("Canceled.");
                await log.FlushAsync(CancellationToken.None);
                await FinishAsync(deployment, DeploymentStatus.Canceled, "canceled", "Canceled by request.");
            }

            // Otherwise the server stops or lost the lease: whoever claims it next goes on.
            return;
        }
        catch (Exception exception)
        {
            var (code, reason) = Explain(exception);
            if (code == "internal_error")
            {
                Log.Unexpected(logger, project.Name, deployment.Number, exception);
            }

            log.Say(reason);
            await log.FlushAsync(CancellationToken.None);
            await FinishAsync(deployment, DeploymentStatus.Failed, code, reason);
            Log.Failed(logger, project.Name, deployment.Number, code);
        }
        finally
        {
            await done.CancelAsync();
            await renewing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await log.DisposeAsync();
        }

        Directory.Delete(folder, true);
        if (deployment.UploadId is { } upload)
        {
            await uploads.RemoveAsync(upload, CancellationToken.None);
        }
    }

    private async Task RunStepsAsync(DeploymentRun run, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var rows = await db.Steps.Where(s => s.DeploymentId == run.Deployment.Id).ToDictionaryAsync(s => s.Name, cancellationToken);
        // 3. Building needs what source and detect leave in memory; what comes after needs only the database.
        var built = rows[DeploymentSteps.Build].Status == StepStatus.Done;
        foreach (var step in steps.All)
        {
            var row = rows[step.Name];
            if (row.Status == StepStatus.Done && (built || !step.InMemory))
            {
                continue;
            }

            run.Log.Step = step.Name;
            row.Status = StepStatus.Running;
            row.StartedAt = time.GetUtcNow();
            row.FinishedAt = null;
            row.Reason = null;
            await db.SaveChangesAsync(cancellationToken);
            if (step.Name == DeploymentSteps.Release)
            {
                await db.Deployments.Where(d => d.Id == run.Deployment.Id).ExecuteUpdateAsync(set => set.SetProperty(d => d.Status, DeploymentStatus.Releasing), cancellationToken);
            }

            await changes.AnnounceAsync(Changes.Deployment(run.Deployment.Id), cancellationToken);
            try
            {
                await step.RunAsync(run, cancellationToken);
                await run.Log.FlushAsync(cancellationToken);
                row.Status = StepStatus.Done;
            }
            catch (Exception exception)
            {
                row.Status = exception is OperationCanceledException ? StepStatus.Canceled : StepStatus.Failed;
                row.Reason = exception is OperationCanceledException ? null : Explain(exception).Reason;
                throw;
            }
            finally
            {
                row.FinishedAt = time.GetUtcNow();
                await db.SaveChangesAsync(CancellationToken.None);
            }
        }
    }

    private async Task RenewAsync(Guid id, CancellationTokenSource canceled, CancellationTokenSource lost, CancellationToken done)
    {
        while (!done.IsCancellationRequested)
        {
            var change = changes.NextChange(Changes.Deployment(id));
            try
            {
                var (owned, cancelRequested) = await queue.RenewAsync(id, node.Id, done);
                if (!owned)
                {
                    await lost.CancelAsync();
                    return;
                }

                if (cancelRequested)
                {
                    await canceled.CancelAsync();
                }
            }
            catch (NpgsqlException exception)
            {
                // The lease outlasts a short absence of the database.
                Log.WorkerTrouble(logger, exception);
            }

            // Every line of the log is a change too: look at most ten times a second.
            await Task.Delay(TimeSpan.FromMilliseconds(100), time, done);
            await changes.WaitAsync(change, RenewEvery, done);
        }
    }

    private async Task FinishAsync(Deployment deployment, DeploymentStatus status, string? code, string? reason)
    {
        await using var db = await databases.CreateDbContextAsync();
        var now = time.GetUtcNow();
        // 4.
        await db.Deployments.Where(d => d.Id == deployment.Id && d.LeaseOwner == node.Id).ExecuteUpdateAsync(set => set
            .SetProperty(d => d.Status, status)
            .SetProperty(d => d.Code, code)
            .SetProperty(d => d.Reason, reason)
            .SetProperty(d => d.LeaseUntil, (DateTimeOffset?)null)
            .SetProperty(d => d.FinishedAt, now));
        await db.Steps.Where(s => s.DeploymentId == deployment.Id && s.Status == StepStatus.Pending)
            .ExecuteUpdateAsync(set => set.SetProperty(s => s.Status, StepStatus.Skipped));
        await changes.AnnounceAsync(Changes.Deployment(deployment.Id), CancellationToken.None);
        await changes.AnnounceAsync(Changes.Queue, CancellationToken.None);
    }

    private static (string Code, string Reason) Explain(Exception exception) => exception switch
    {
        DeploymentFailure failure => (failure.Code, failure.Message),
        SourceException source => (source.Code, source.Message),
        DetectionException detection => (detection.Code, detection.Message),
        BuildException build => (build.Code, build.Message),
        NanoVms.Machines.MachineException machine => ("machine_failed", machine.Message),
        _ => ("internal_error", "The platform failed, not your project. The administrator finds the details in the server's log; try again."),
    };

    /// <summary>Removes work folders of deployments that a crash ended after they had finished.</summary>
    private void RemoveLeftovers()
    {
        var work = options.InData("work");
        if (!Directory.Exists(work))
        {
            return;
        }

        using var db = databases.CreateDbContext();
        var active = db.Deployments.Where(d => d.Status == DeploymentStatus.Building || d.Status == DeploymentStatus.Releasing).Select(d => d.Id).ToHashSet();
        foreach (var folder in Directory.GetDirectories(work))
        {
            if (!Guid.TryParseExact(Path.GetFileName(folder), "N", out var id) || !active.Contains(id))
            {
                Directory.Delete(folder, true);
            }
        }
    }
}
