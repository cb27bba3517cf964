using System.Collections.Concurrent;
using BytePort.Server.Database;
using BytePort.Server.Machines;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace BytePort.Server.Instances;

/// <summary>Makes machines follow the wished instances: adopts, starts, restarts, drains, stops, and removes what nobody owns.</summary>
internal sealed class InstanceSupervisor(
    IDbContextFactory<PlatformDb> databases,
    InstanceRuntime runtime,
    ChangeHub changes,
    TimeProvider time,
    ILogger<InstanceSupervisor> logger)
    : BackgroundService
{
    private const string WakeKey = "supervisor";

    private readonly ConcurrentDictionary<Guid, InstanceRunner> _runners = new();

    /// <summary>Wishes changed: look at once.</summary>
    public void Wake() => changes.Wake(WakeKey);

    /// <summary>Instances that take requests, by service of a deployment.</summary>
    public IReadOnlyList<(Guid Instance, Uri Address)> Healthy(Guid deployment, string service)
        => [.. _runners.Values
            .Where(runner => runner.DeploymentId == deployment && runner.Service == service && runner.Endpoint is not null)
            .Select(runner => (runner.Id, runner.Endpoint!))];

    /// <summary>
    /// Leads the private names of an environment to the healthy instances of the deployment that serves; for a service that it does not have,
    /// as before the first has gone live, to those of the deployment that has it.
    /// </summary>
    public void Announce(Guid environment, Guid? live)
    {
        var runners = _runners.Values.Where(runner => runner.EnvironmentId == environment).ToList();
        var served = runners.Where(runner => runner.DeploymentId == live).Select(runner => runner.Service).ToHashSet();
        foreach (var runner in runners)
        {
            runner.SetAnnounced(runner.Endpoint is not null && (runner.DeploymentId == live || !served.Contains(runner.Service)));
        }
    }

    /// <summary>Adopts what ran before this process started, so that the first routes already lead somewhere.</summary>
    public async Task AdoptAsync(CancellationToken cancellationToken)
    {
        await StopOrphansAsync(cancellationToken);
        await LookAsync(CancellationToken.None);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var change = changes.NextChange(WakeKey);
                await LookAsync(stoppingToken);
                await changes.WaitAsync(change, TimeSpan.FromSeconds(1), stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception exception) when (exception is NpgsqlException or DbUpdateException or InvalidOperationException)
            {
                Log.SupervisorTrouble(logger, exception);
                await Task.Delay(TimeSpan.FromSeconds(2), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        // Machines go on without us; only our watching ends.
        await Task.WhenAll(_runners.Values.Select(runner => runner.DetachAsync()));
    }

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var rows = await db.Instances.AsNoTracking().ToListAsync(cancellationToken);
        var now = time.GetUtcNow();
        foreach (var row in rows)
        {
            if (!_runners.TryGetValue(row.Id, out var runner))
            {
                var deployment = await db.Deployments.AsNoTracking().FirstAsync(d => d.Id == row.DeploymentId, cancellationToken);
                var project = await db.Projects.AsNoTracking().FirstAsync(p => p.Id == row.ProjectId, cancellationToken);
                runner = InstanceRunner.Start(row, deployment, project, runtime, Wake);
                _runners[row.Id] = runner;
            }

            if (row.DrainUntil <= now)
            {
                runner.RequestStop();
            }
        }

        foreach (var (id, runner) in _runners)
        {
            if (runner.Ended)
            {
                _runners.TryRemove(id, out _);
            }
        }

        await RemoveDestroyedAsync(db, cancellationToken);
    }

    /// <summary>Deletes destroyed projects whose machines are gone.</summary>
    private async Task RemoveDestroyedAsync(PlatformDb db, CancellationToken cancellationToken)
    {
        var gone = await db.Projects
            .Where(p => p.DestroyedAt != null && !db.Instances.Any(i => i.ProjectId == p.Id)
                && !db.Deployments.Any(d => d.ProjectId == p.Id && (d.Status == Deployments.DeploymentStatus.Building || d.Status == Deployments.DeploymentStatus.Releasing)))
            .Select(p => p.Id).ToListAsync(cancellationToken);
        foreach (var project in gone)
        {
            runtime.Log.Remove(project);
            await db.Projects.Where(p => p.Id == project).ExecuteDeleteAsync(cancellationToken);
        }
    }

    /// <summary>Stops machines that no row wants: builds of a crashed worker and starts that never were recorded.</summary>
    private async Task StopOrphansAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var wanted = await db.Instances.Select(i => i.Id).ToListAsync(cancellationToken);
        // Machines by themselves have no row: their wish is in their label.
        foreach (var machine in runtime.Machines.Machines.Where(machine => !MachineService.IsByItself(machine)))
        {
            if (!machine.Spec.Labels.TryGetValue(InstanceRuntime.InstanceLabel, out var label) || !Guid.TryParse(label, out var id) || !wanted.Contains(id))
            {
                Log.StoppingOrphan(logger, machine.Id, machine.Spec.Name);
                await machine.StopAsync(TimeSpan.Zero, cancellationToken);
            }
        }
    }
}
