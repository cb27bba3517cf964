using BytePort.Manifest;
using BytePort.Server.Database;
using BytePort.Server.Deployments;
using BytePort.Server.Instances;
using BytePort.Server.Routing;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Environments;

/// <summary>Lets a deployment serve: first its instances beside the old ones, then the pointer and the route in one step.</summary>
internal sealed class Releaser(IDbContextFactory<PlatformDb> databases, ChangeHub changes, InstanceSupervisor supervisor, RoutePublisher routes, TimeProvider time)
{
    /// <summary>How long requests under way on the old release may take, and how long a rollback finds it still running.</summary>
    public static readonly TimeSpan Drain = TimeSpan.FromSeconds(60);

    /// <summary>Boot, start and the time to bind together.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>Makes sure that every server of the deployment has a healthy instance; what this call started is stopped if it fails.</summary>
    /// <exception cref="DeploymentFailure">An instance did not become healthy.</exception>
    public async Task StartAsync(Deployment deployment, Action<string> say, CancellationToken cancellationToken)
    {
        var servers = DeploymentPlan.Parse(deployment.Plan!).Services.Where(s => s.Plan.Kind != ServiceKind.Static).ToList();
        if (servers.Count == 0)
        {
            return;
        }

        try
        {
            await WantAsync(deployment, servers, say, cancellationToken);
            await AwaitHealthyAsync(deployment, servers.Count, cancellationToken);
            say(servers.Count == 1 ? "The new instance is healthy" : $"All {servers.Count} new instances are healthy");
        }
        catch
        {
            await DropAsync(deployment.Id, CancellationToken.None);
            throw;
        }
    }

    /// <summary>Moves the pointer and the route; the old release's instances drain.</summary>
    public async Task SwitchAsync(Deployment deployment, Action<string> say, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var now = time.GetUtcNow();
        await using (var transaction = await db.Database.BeginTransactionAsync(cancellationToken))
        {
            var environment = (await db.Environments.FromSql($"SELECT * FROM environments WHERE id = {deployment.EnvironmentId} FOR UPDATE").ToListAsync(cancellationToken))[0];
            if (environment.LiveDeploymentId != deployment.Id)
            {
                environment.PreviousDeploymentId = environment.LiveDeploymentId;
                environment.LiveDeploymentId = deployment.Id;
                environment.ActivatedAt = now;
            }

            await db.SaveChangesAsync(cancellationToken);
            await db.Instances.Where(i => i.DeploymentId == deployment.Id).ExecuteUpdateAsync(set => set.SetProperty(i => i.DrainUntil, (DateTimeOffset?)null), cancellationToken);
            var until = now + Drain;
            await db.Instances.Where(i => i.ProjectId == deployment.ProjectId && i.DeploymentId != deployment.Id && i.DrainUntil == null)
                .ExecuteUpdateAsync(set => set.SetProperty(i => i.DrainUntil, until), cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }

        await routes.PublishAsync(deployment.ProjectId, cancellationToken);
        supervisor.Wake();
        say($"Deployment {deployment.Number} serves");
    }

    private async Task WantAsync(Deployment deployment, List<PlannedService> servers, Action<string> say, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var there = await db.Instances.Where(i => i.DeploymentId == deployment.Id).ToListAsync(cancellationToken);
        foreach (var service in servers)
        {
            var instance = there.Find(i => i.Service == service.Plan.Name && i.State is not (InstanceState.Failed or InstanceState.Stopping));
            if (instance is not null)
            {
                instance.DrainUntil = null;
                continue;
            }

            say($"{service.Plan.Name}: starting a machine with {service.Plan.Size.MemoryMiB} MiB");
            db.Instances.Add(new Instance { DeploymentId = deployment.Id, ProjectId = deployment.ProjectId, Service = service.Plan.Name, CreatedAt = time.GetUtcNow() });
        }

        await db.SaveChangesAsync(cancellationToken);
        supervisor.Wake();
    }

    private async Task AwaitHealthyAsync(Deployment deployment, int count, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            var change = changes.NextChange(Changes.Instances);
            await using (var db = await databases.CreateDbContextAsync(cancellationToken))
            {
                var rows = await db.Instances.AsNoTracking().Where(i => i.DeploymentId == deployment.Id && i.State != InstanceState.Stopping).ToListAsync(cancellationToken);
                if (rows.Find(i => i.State == InstanceState.Failed) is { } failed)
                {
                    throw new DeploymentFailure("release_failed", $"Service '{failed.Service}' did not become healthy: {failed.Reason}");
                }

                if (rows.Count(i => i.State == InstanceState.Healthy) >= count)
                {
                    return;
                }
            }

            if (time.GetElapsedTime(began) > Patience)
            {
                throw new DeploymentFailure("release_timeout", $"The new instances were not healthy within {Patience.TotalMinutes} minutes. The log of the release step shows how far they came.");
            }

            await changes.WaitAsync(change, TimeSpan.FromSeconds(1), cancellationToken);
        }
    }

    /// <summary>Stops the deployment's instances unless it serves.</summary>
    private async Task DropAsync(Guid deployment, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var now = time.GetUtcNow();
        await db.Instances.Where(i => i.DeploymentId == deployment && !db.Environments.Any(e => e.LiveDeploymentId == deployment))
            .ExecuteUpdateAsync(set => set.SetProperty(i => i.DrainUntil, now), cancellationToken);
        supervisor.Wake();
    }
}
