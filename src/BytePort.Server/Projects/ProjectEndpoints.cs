using BytePort.Manifest;
using BytePort.Server.Accounts;
using BytePort.Server.Api;
using BytePort.Server.Database;
using BytePort.Server.Deployments;
using BytePort.Server.Environments;
using BytePort.Server.Hosting;
using BytePort.Server.Instances;
using BytePort.Server.Routing;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Projects;

internal static class ProjectEndpoints
{
    public static void MapProjects(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("/api/v1/projects").WithTags("projects").RequireAuthorization();
        group.MapGet("", ListAsync).WithName("listProjects").WithSummary("The team's projects by name");
        group.MapPost("", CreateAsync).WithName("createProject").WithSummary("Make an empty project");
        group.MapGet("{project}", GetAsync).WithName("getProject").WithSummary("One project with its services and instances");
        group.MapDelete("{project}", DestroyAsync).WithName("destroyProject").WithSummary("Stop everything of the project and delete it");
    }

    private static async Task<Ok<Page<ProjectView>>> ListAsync(string? cursor, int? limit, Caller caller, PlatformDb db, ServerOptions options, CancellationToken cancellationToken)
    {
        var size = Page<ProjectView>.Limit(limit);
        var projects = await db.Projects.AsNoTracking()
            .Where(p => p.TeamId == caller.TeamId && p.DestroyedAt == null && (cursor == null || string.Compare(p.Name, cursor) > 0))
            .OrderBy(p => p.Name).Take(size).ToListAsync(cancellationToken);
        var items = new List<ProjectView>();
        foreach (var project in projects)
        {
            items.Add(await ViewAsync(project, db, options, cancellationToken));
        }

        return TypedResults.Ok(new Page<ProjectView>(items, items.Count == size ? items[^1].Name : null));
    }

    private static async Task<Results<Created<ProjectView>, ProblemHttpResult>> CreateAsync(
        CreateProject body, Caller caller, PlatformDb db, ProjectCreation projects, ServerOptions options, CancellationToken cancellationToken)
    {
        var (project, problem) = await projects.CreateAsync(caller.TeamId, body.Name, cancellationToken);
        return project is null ? problem! : TypedResults.Created($"/api/v1/projects/{project.Name}", await ViewAsync(project, db, options, cancellationToken));
    }

    private static async Task<Results<Ok<ProjectView>, ProblemHttpResult>> GetAsync(
        string project, Caller caller, PlatformDb db, ServerOptions options, CancellationToken cancellationToken)
        => await db.FindProjectAsync(caller.TeamId, project, cancellationToken) is { } found
            ? TypedResults.Ok(await ViewAsync(found, db, options, cancellationToken))
            : Problems.NotFound("project", project);

    /// <summary>Takes the project out of everything in one transaction; the supervisor stops its machines and then removes the rows.</summary>
    private static async Task<Results<NoContent, ProblemHttpResult>> DestroyAsync(
        string project, Caller caller, PlatformDb db, ChangeHub changes, RoutePublisher routes, InstanceSupervisor supervisor, TimeProvider time, CancellationToken cancellationToken)
    {
        if (await db.FindProjectAsync(caller.TeamId, project, cancellationToken) is not { } found)
        {
            return Problems.NotFound("project", project);
        }

        var now = time.GetUtcNow();
        await using (var transaction = await db.Database.BeginTransactionAsync(cancellationToken))
        {
            await db.Projects.Where(p => p.Id == found.Id).ExecuteUpdateAsync(set => set.SetProperty(p => p.DestroyedAt, now), cancellationToken);
            await db.Deployments.Where(d => d.ProjectId == found.Id && d.Status == DeploymentStatus.Queued)
                .ExecuteUpdateAsync(set => set.SetProperty(d => d.Status, DeploymentStatus.Canceled).SetProperty(d => d.FinishedAt, now), cancellationToken);
            await db.Deployments.Where(d => d.ProjectId == found.Id).ExecuteUpdateAsync(set => set.SetProperty(d => d.CancelRequested, true), cancellationToken);
            await db.Environments.Where(e => e.ProjectId == found.Id).ExecuteUpdateAsync(set => set.SetProperty(e => e.LiveDeploymentId, (Guid?)null), cancellationToken);
            await db.Instances.Where(i => i.ProjectId == found.Id).ExecuteUpdateAsync(set => set.SetProperty(i => i.DrainUntil, now), cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }

        await routes.PublishAsync(found.Id, cancellationToken);
        foreach (var active in await db.Deployments.Where(d => d.ProjectId == found.Id && (d.Status == DeploymentStatus.Building || d.Status == DeploymentStatus.Releasing)).Select(d => d.Id).ToListAsync(cancellationToken))
        {
            await changes.AnnounceAsync(Changes.Deployment(active), cancellationToken);
        }

        supervisor.Wake();
        return TypedResults.NoContent();
    }

    private static async Task<ProjectView> ViewAsync(Project project, PlatformDb db, ServerOptions options, CancellationToken cancellationToken)
    {
        var environment = await db.Environments.AsNoTracking().FirstAsync(e => e.ProjectId == project.Id && e.Name == ProjectEnvironment.Production, cancellationToken);
        var latest = (await db.ViewDeploymentsAsync(project, options, all => all.OrderByDescending(d => d.Number).Take(1), cancellationToken)) is [var newest] ? newest : null;
        DeploymentView? live = null;
        IReadOnlyList<ProjectServiceView> services = [];
        if (environment.LiveDeploymentId is { } id)
        {
            live = (await db.ViewDeploymentsAsync(project, options, all => all.Where(d => d.Id == id), cancellationToken))[0];
            var plan = DeploymentPlan.Parse((await db.Deployments.Where(d => d.Id == id).Select(d => d.Plan).FirstAsync(cancellationToken))!);
            var instances = (await db.Instances.AsNoTracking().Where(i => i.DeploymentId == id).ToListAsync(cancellationToken)).ToLookup(i => i.Service);
            services = [.. plan.Services.Select(s => View(s, [.. instances[s.Plan.Name]]))];
        }

        var status = live is null
            ? latest is null ? "empty" : latest.Status.ToString().ToLowerInvariant()
            : services.All(s => s.Status == "running") ? "live" : "degraded";
        return new ProjectView(project.Name, status, options.AppUrl(project.Name).ToString().TrimEnd('/'), project.CreatedAt, services, live, latest);
    }

    private static ProjectServiceView View(PlannedService service, IReadOnlyList<Instance> instances)
    {
        var views = instances.Select(i => new InstanceView(i.MachineId, i.State.ToString().ToLowerInvariant(), i.Reason, i.Restarts)).ToList();
        var status = service.Plan.Kind == ServiceKind.Static || instances.Any(i => i.State == InstanceState.Healthy)
            ? "running"
            : instances.Count > 0 ? instances[0].State.ToString().ToLowerInvariant() : "stopped";
        return new ProjectServiceView(service.Plan.Name, service.Plan.Kind.ToString().ToLowerInvariant(), service.Plan.Routes, status, views);
    }
}

internal sealed record CreateProject(string? Name);

/// <param name="Status"><c>empty</c>, <c>live</c>, <c>degraded</c> (a service has no healthy instance), or the status of the only attempts so far.</param>
internal sealed record ProjectView(
    string Name, string Status, string Url, DateTimeOffset CreatedAt, IReadOnlyList<ProjectServiceView> Services, DeploymentView? Live, DeploymentView? Latest);

internal sealed record ProjectServiceView(string Name, string Kind, IReadOnlyList<string> Routes, string Status, IReadOnlyList<InstanceView> Instances);

internal sealed record InstanceView(string? Machine, string Status, string? Reason, int Restarts);
