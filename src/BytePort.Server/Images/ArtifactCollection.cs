using System.Text.Json;
using BytePort.Builds.Blobs;
using BytePort.Builds.Services;
using BytePort.Builds.Sites;
using BytePort.Server.Database;
using BytePort.Server.Deployments;
using Microsoft.EntityFrameworkCore;
using NanoVms.Images.Collection;
using NanoVms.Machines;

namespace BytePort.Server.Images;

/// <summary>Removes artifacts that no deployment has, whatever became of it: those of projects that were destroyed, and of builds that died.</summary>
internal sealed class ArtifactCollection(
    BlobStore blobs, MachineHost machines, IDbContextFactory<PlatformDb> databases, TimeProvider time, ILogger<ArtifactCollection> logger)
{
    // A build stores its artifact before its deployment says so; none takes nearly as long.
    private static readonly TimeSpan LeastAge = TimeSpan.FromDays(1);

    /// <returns>What was removed, or would be; null for nothing, also when it cannot be read what is needed.</returns>
    public async Task<CollectedItem?> CollectAsync(TimeSpan olderThan, bool dryRun, CancellationToken cancellationToken)
    {
        // The time first: what is stored from now on is younger.
        var before = time.GetUtcNow() - (olderThan > LeastAge ? olderThan : LeastAge);
        HashSet<string> needed;
        try
        {
            needed = await ReadNeededAsync(cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            Log.ArtifactsKept(logger, e.Message);
            return null;
        }

        var unneeded = blobs.Enumerate().Where(blob => blob.StoredAt < before && !needed.Contains(blob.Digest)).ToList();
        if (unneeded.Count == 0)
            return null;
        var bytes = dryRun ? unneeded.Sum(blob => blob.Size) : blobs.RemoveUnreferenced(needed, before);
        return new CollectedItem("artifacts", $"{unneeded.Count} files", bytes);
    }

    private async Task<HashSet<string>> ReadNeededAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var plans = await db.Deployments.AsNoTracking().Where(d => d.Plan != null).Select(d => d.Plan!).ToListAsync(cancellationToken);
        var built = await db.Artifacts.AsNoTracking().Select(a => a.Artifact).ToListAsync(cancellationToken);
        var artifacts = plans.SelectMany(plan => DeploymentPlan.Parse(plan).Services.Select(service => service.Artifact))
            .Concat(built.Select(artifact => JsonSerializer.Deserialize<Artifact>(artifact, DeploymentPlan.Json)))
            .Distinct();
        // A machine may drain for a while after its project has gone.
        var needed = machines.Machines.SelectMany(machine => machine.Spec.Layers).Select(layer => Path.GetFileName(layer)).ToHashSet(StringComparer.Ordinal);
        foreach (var artifact in artifacts)
        {
            if (artifact is AppArtifact app)
                _ = needed.Add(app.LayerDigest);
            // A tree that is missing already keeps nothing: the deployment cannot be served any more.
            else if (artifact is StaticArtifact site && needed.Add(site.TreeDigest) && blobs.Exists(site.TreeDigest))
                needed.UnionWith((await StaticTree.LoadAsync(blobs, site.TreeDigest, cancellationToken)).References());
        }

        return needed;
    }
}
