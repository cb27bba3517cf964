using BytePort.Builds.Blobs;
using BytePort.Builds.Services;
using BytePort.Builds.Sites;
using BytePort.Edge;
using BytePort.Edge.Proxying;
using BytePort.Edge.Routing;
using BytePort.Edge.StaticFiles;
using BytePort.Manifest;
using BytePort.Server.Database;
using BytePort.Server.Deployments;
using BytePort.Server.Environments;
using BytePort.Server.Hosting;
using BytePort.Server.Instances;
using Microsoft.EntityFrameworkCore;
using Route = BytePort.Edge.Routing.Route;

namespace BytePort.Server.Routing;

/// <summary>Turns what the database says should serve into the edge's route table, and swaps it in whole.</summary>
internal sealed class RoutePublisher(
    IDbContextFactory<PlatformDb> databases, EdgeHost edge, BlobStore blobs, InstanceSupervisor supervisor, ServerOptions options, ILogger<RoutePublisher> logger)
    : IDisposable
{
    private const int MaxBuilt = 64;

    private readonly SemaphoreSlim _publishing = new(1, 1);
    private readonly Dictionary<Guid, KeyValuePair<string, SiteRoutes>> _sites = [];

    /// <summary>The newest sites by tree digest: a route change of a server beside a site, or a rollback, finds the index ready.</summary>
    private readonly Dictionary<(string Tree, DateTimeOffset? ActivatedAt), StaticSite> _built = [];

    /// <summary>Publishes every project: at start.</summary>
    public async Task PublishAllAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        foreach (var project in await db.Projects.Where(p => p.DestroyedAt == null).Select(p => p.Id).ToListAsync(cancellationToken))
        {
            await PublishAsync(project, cancellationToken);
        }
    }

    /// <summary>Brings the routes and private names of one project to what the database and the running instances say now.</summary>
    public async Task PublishAsync(Guid projectId, CancellationToken cancellationToken)
    {
        await _publishing.WaitAsync(cancellationToken);
        try
        {
            await using var db = await databases.CreateDbContextAsync(cancellationToken);
            var serving = await (
                from p in db.Projects
                join e in db.Environments on p.Id equals e.ProjectId
                join d in db.Deployments on e.LiveDeploymentId equals d.Id
                where p.Id == projectId && p.DestroyedAt == null && e.Name == ProjectEnvironment.Production
                select new { p.Name, Deployment = d, e.ActivatedAt }).AsNoTracking().FirstOrDefaultAsync(cancellationToken);
            if (serving is null)
            {
                _sites.Remove(projectId);
            }
            else
            {
                var routes = await RoutesAsync(serving.Name, serving.Deployment, serving.ActivatedAt, cancellationToken);
                _sites[projectId] = KeyValuePair.Create($"{serving.Name}.{options.AppDomain}", routes);
            }

            edge.Update(new RouteTable(_sites.Values));
            foreach (var environment in await db.Environments.AsNoTracking().Where(e => e.ProjectId == projectId).ToListAsync(cancellationToken))
            {
                supervisor.Announce(environment.Id, environment.LiveDeploymentId);
            }
        }
        finally
        {
            _publishing.Release();
        }
    }

    public void Dispose() => _publishing.Dispose();

    private async Task<SiteRoutes> RoutesAsync(string project, Deployment deployment, DateTimeOffset? activatedAt, CancellationToken cancellationToken)
    {
        var routes = new List<Route>();
        foreach (var service in DeploymentPlan.Parse(deployment.Plan!).Services)
        {
            if (service.Plan.Kind == ServiceKind.Worker)
            {
                continue;
            }

            var target = service.Artifact switch
            {
                StaticArtifact site => await SiteAsync(project, site, activatedAt, cancellationToken),
                _ => ServerTarget(project, deployment.Id, service.Plan.Name),
            };
            routes.AddRange(service.Plan.Routes.Select(prefix => new Route(prefix, target)));
        }

        return new SiteRoutes(routes);
    }

    private RouteTarget ServerTarget(string project, Guid deployment, string service)
    {
        var healthy = supervisor.Healthy(deployment, service);
        return healthy.Count == 0
            ? new UnavailableTarget(StatusCodes.Status503ServiceUnavailable, "This app is starting again. Try once more in a few seconds.")
            : new ProxyTarget($"{project}/{service}", [.. healthy.Select(instance => new Upstream(instance.Instance.ToString("N"), instance.Address))]);
    }

    private async Task<RouteTarget> SiteAsync(string project, StaticArtifact artifact, DateTimeOffset? activatedAt, CancellationToken cancellationToken)
    {
        try
        {
            if (!_built.TryGetValue((artifact.TreeDigest, activatedAt), out var site))
            {
                site = Index(await StaticTree.LoadAsync(blobs, artifact.TreeDigest, cancellationToken), activatedAt);
                if (_built.Count >= MaxBuilt)
                {
                    _built.Clear();
                }

                _built[(artifact.TreeDigest, activatedAt)] = site;
            }

            return new StaticTarget(site);
        }
        catch (IOException exception)
        {
            Log.SiteDamaged(logger, project, artifact.TreeDigest, exception);
            return new UnavailableTarget(StatusCodes.Status503ServiceUnavailable, "This site's files are damaged. Its owner has to deploy it again.");
        }
    }

    private StaticSite Index(StaticTree tree, DateTimeOffset? activatedAt) => new(
        tree.Files.Select(file => new StaticFile(
            file.Path,
            blobs.GetPath(file.Digest),
            file.Size,
            file.Digest,
            file.ContentType,
            file.Immutable,
            [.. file.Encodings.OrderBy(encoding => encoding.Value.Size).Select(Encode)])),
        new StaticSiteOptions { Spa = tree.Spa, LastModified = activatedAt });

    private StaticEncoding Encode(KeyValuePair<string, Blob> encoding)
        => new(encoding.Key, blobs.GetPath(encoding.Value.Digest), encoding.Value.Size, encoding.Value.Digest);
}
