using System.Globalization;
using System.Text.Json;
using BytePort.Builds.Blobs;
using BytePort.Builds.Detection;
using BytePort.Builds.Services;
using BytePort.Builds.Sources;
using BytePort.Manifest;
using BytePort.Server.Database;
using BytePort.Server.Environments;
using BytePort.Server.Images;
using BytePort.Server.Instances;
using BytePort.Server.Uploads;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Deployments;

/// <summary>What a worker has of a deployment while it carries out its steps.</summary>
internal sealed record DeploymentRun(Deployment Deployment, string ProjectName, Guid TeamId, string Folder, DeploymentLog Log)
{
    public FetchedSource? Source { get; set; }

    public ProjectPlan? Plan { get; set; }
}

/// <summary>A named step: what it does, and whether a worker that takes over must do it again although it was done.</summary>
internal sealed record StepDefinition(string Name, IReadOnlyList<string> DependsOn, bool InMemory, Func<DeploymentRun, CancellationToken, Task> RunAsync);

/// <summary>The steps of a deployment. Each may run again after a crash with the same outcome.</summary>
internal sealed class DeploymentSteps(
    IDbContextFactory<PlatformDb> databases,
    SourceFetcher sources,
    ServiceBuilder builder,
    BlobStore blobs,
    UploadStore uploads,
    Releaser releaser,
    InstanceRuntime runtime,
    ImageService images,
    TimeProvider time)
{
    public const string Source = "source";
    public const string Detect = "detect";
    public const string Build = "build";
    public const string Release = "release";
    public const string Activate = "activate";

    private static readonly TimeSpan ReleaseCommandTime = TimeSpan.FromMinutes(10);

    public static readonly IReadOnlyList<string> Names = [Source, Detect, Build, Release, Activate];

    public IReadOnlyList<StepDefinition> All =>
    [
        new(Source, [], InMemory: true, FetchAsync),
        new(Detect, [Source], InMemory: true, DetectAsync),
        new(Build, [Detect], InMemory: false, BuildAsync),
        new(Release, [Build], InMemory: false, ReleaseAsync),
        new(Activate, [Release], InMemory: false, (run, cancellationToken) => releaser.SwitchAsync(run.Deployment, run.Log.Say, cancellationToken)),
    ];

    private async Task FetchAsync(DeploymentRun run, CancellationToken cancellationToken)
    {
        var deployment = run.Deployment;
        var target = Path.Combine(run.Folder, "source");
        if (Directory.Exists(target))
        {
            Directory.Delete(target, true);
        }

        SourceSpec spec = deployment.SourceKind == "git"
            ? new GitSource(new Uri(deployment.SourceUrl!), deployment.SourceRef)
            : new ArchiveSource(uploads.PathOf(deployment.UploadId!.Value));
        run.Source = await sources.FetchAsync(spec, target, run.Log.Output, cancellationToken);
        deployment.Commit = run.Source.Commit;
        deployment.CommitMessage = run.Source.CommitMessage;
        deployment.SourceDigest = run.Source.Digest;
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        await db.Deployments.Where(d => d.Id == deployment.Id).ExecuteUpdateAsync(set => set
            .SetProperty(d => d.Commit, deployment.Commit)
            .SetProperty(d => d.CommitMessage, deployment.CommitMessage)
            .SetProperty(d => d.SourceDigest, deployment.SourceDigest), cancellationToken);
        run.Log.Say($"Source {run.Source.Digest[..12]}{(run.Source.Commit is { } commit ? $" at commit {commit[..Math.Min(12, commit.Length)]}" : "")}");
    }

    private async Task DetectAsync(DeploymentRun run, CancellationToken cancellationToken)
    {
        run.Plan = Detector.Detect(run.Source!.Directory);
        foreach (var note in run.Plan.Notes)
        {
            run.Log.Say(note);
        }

        foreach (var service in run.Plan.Services)
        {
            RefuseUnsupported(service, run.Log);
        }

        await SavePlanAsync(run, new DeploymentPlan([.. run.Plan.Services.Select(service => new PlannedService(service, null))]), cancellationToken);
    }

    private async Task BuildAsync(DeploymentRun run, CancellationToken cancellationToken)
    {
        var built = new List<PlannedService>();
        foreach (var service in run.Plan!.Services)
        {
            var variables = new Dictionary<string, string>(service.Environment);
            var key = ServiceBuilder.CacheKey(service, run.Source!.Digest, variables);
            await using var db = await databases.CreateDbContextAsync(cancellationToken);
            var known = await db.Artifacts.AsNoTracking().FirstOrDefaultAsync(a => a.ProjectId == run.Deployment.ProjectId && a.Key == key, cancellationToken);
            if (known is not null && JsonSerializer.Deserialize<Artifact>(known.Artifact, DeploymentPlan.Json) is { } reused && IsThere(reused))
            {
                run.Log.Say($"{service.Name}: source and settings are unchanged, the artifact of an earlier build is used");
                built.Add(new PlannedService(service, reused));
                continue;
            }

            var began = time.GetTimestamp();
            var artifact = await builder.BuildAsync(service, run.Source, new BuildLimits(), variables, run.Log.Output, cancellationToken);
            var json = JsonSerializer.Serialize(artifact, DeploymentPlan.Json);
            var now = time.GetUtcNow();
            await db.Database.ExecuteSqlAsync($"""
                INSERT INTO artifacts (project_id, key, artifact, created_at) VALUES ({run.Deployment.ProjectId}, {key}, {json}::jsonb, {now})
                ON CONFLICT (project_id, key) DO UPDATE SET artifact = excluded.artifact, created_at = excluded.created_at
                """, cancellationToken);
            run.Log.Say($"{service.Name}: built in {time.GetElapsedTime(began).TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture)} s");
            built.Add(new PlannedService(service, artifact));
        }

        await SavePlanAsync(run, new DeploymentPlan(built), cancellationToken);
        // From here on the deployment can be released, however often: no collection may take its stacks.
        await images.TellNeedsAsync(cancellationToken);
    }

    /// <summary>Runs the release commands, then starts the instances beside the old ones.</summary>
    private async Task ReleaseAsync(DeploymentRun run, CancellationToken cancellationToken)
    {
        foreach (var service in DeploymentPlan.Parse(run.Deployment.Plan!).Services.Where(s => s.Plan.ReleaseCommand is not null && s.Artifact is AppArtifact))
        {
            run.Log.Say($"{service.Plan.Name}: {service.Plan.ReleaseCommand}");
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            patience.CancelAfter(ReleaseCommandTime);
            try
            {
                var exit = await runtime.RunReleaseAsync(service, new MachineOwner(run.ProjectName, run.TeamId, run.Deployment.EnvironmentId), run.Log.Output.WriteOutput, patience.Token);
                if (exit.ExitCode != 0)
                {
                    throw new DeploymentFailure("release_command_failed", $"The release command of service '{service.Plan.Name}' failed: {exit.Reason} Its output is in the log of the release step.");
                }
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw new DeploymentFailure("release_command_timeout", $"The release command of service '{service.Plan.Name}' did not end within {ReleaseCommandTime.TotalMinutes} minutes.");
            }
        }

        await releaser.StartAsync(run.Deployment, run.Log.Say, cancellationToken);
    }

    /// <summary>Refuses what this version cannot keep its promise for, rather than to ignore it.</summary>
    private static void RefuseUnsupported(ServicePlan service, DeploymentLog log)
    {
        if (service.Kind == ServiceKind.Cron)
        {
            throw new DeploymentFailure("unsupported_service", $"Service '{service.Name}' is of kind cron, which this version of BytePort cannot run yet. Remove it from byteport.yaml.");
        }

        if (service.Volumes.Count > 0)
        {
            throw new DeploymentFailure("unsupported_volume", $"Service '{service.Name}' asks for the volume '{service.Volumes[0].Name}', and this version of BytePort has no volumes yet: its data would be lost. Remove it from byteport.yaml.");
        }

        if (service.Scale is not null)
        {
            log.Say($"{service.Name}: 'scale' is not applied by this version, one instance runs");
        }
    }

    private bool IsThere(Artifact artifact) => artifact switch
    {
        StaticArtifact site => blobs.Exists(site.TreeDigest),
        AppArtifact app => blobs.Exists(app.LayerDigest),
        _ => false,
    };

    private async Task SavePlanAsync(DeploymentRun run, DeploymentPlan plan, CancellationToken cancellationToken)
    {
        run.Deployment.Plan = plan.ToJson();
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        await db.Deployments.Where(d => d.Id == run.Deployment.Id).ExecuteUpdateAsync(set => set.SetProperty(d => d.Plan, run.Deployment.Plan), cancellationToken);
    }
}
