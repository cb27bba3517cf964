using System.Globalization;
using BytePort.Builds.Sources;
using BytePort.Server.Accounts;
using BytePort.Server.Api;
using BytePort.Server.Database;
using BytePort.Server.Environments;
using BytePort.Server.Hosting;
using BytePort.Server.Projects;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Deployments;

internal static class DeploymentEndpoints
{
    public static void MapDeployments(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("/api/v1/projects/{project}/deployments").WithTags("deployments").RequireAuthorization();
        group.MapPost("", CreateAsync).WithName("createDeployment").WithSummary("Deploy a source; the project is made if it is new");
        group.MapGet("", ListAsync).WithName("listDeployments").WithSummary("The project's deployments, newest first");
        group.MapGet("{number:int}", GetAsync).WithName("getDeployment").WithSummary("One deployment with its steps");
        group.MapPost("{number:int}/cancel", CancelAsync).WithName("cancelDeployment").WithSummary("Stop a deployment that is not finished");
        group.MapPost("{number:int}/activate", ActivateAsync).WithName("activateDeployment").WithSummary("Let an earlier successful deployment serve again");
        group.MapDeploymentLogs();
        app.MapPost("/api/v1/projects/{project}/rollback", RollbackAsync).WithName("rollback").WithTags("deployments").RequireAuthorization()
            .WithSummary("Let the deployment that served before serve again");
    }

    private static async Task<Results<Accepted<DeploymentView>, ProblemHttpResult>> CreateAsync(
        string project, CreateDeployment body, Caller caller, PlatformDb db, ProjectCreation projects, DeploymentQueue queue, ServerOptions options, CancellationToken cancellationToken)
    {
        if (body.Source is not { } source || (source.Git is null) == (source.Upload is null))
        {
            return Problems.Invalid("source_missing", "Give exactly one source: {\"source\": {\"git\": {\"url\": …}}} or {\"source\": {\"upload\": {\"id\": …}}}.");
        }

        if (source.Git is { } git && (!Uri.TryCreate(git.Url, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https" or "ssh")))
        {
            return Problems.Invalid(SourceErrors.BadUrl, $"'{git.Url}' is not a Git URL that can be used. Give one that begins with https://, http:// or ssh://.");
        }

        if (source.Upload is { } upload && !await db.Uploads.AnyAsync(u => u.Id == upload.Id && u.TeamId == caller.TeamId && u.ReceivedAt != null, cancellationToken))
        {
            return Problems.Invalid("upload_missing", $"There is no complete upload '{upload.Id}' in your team. Create one by POST /api/v1/uploads and PUT the archive to its address.");
        }

        var (found, problem) = await projects.FindOrCreateAsync(caller.TeamId, project, cancellationToken);
        if (found is null)
        {
            return problem!;
        }

        var number = await queue.AddAsync(found.Id, source, cancellationToken);
        var view = await db.ViewDeploymentAsync(found, options, number, cancellationToken);
        return TypedResults.Accepted($"/api/v1/projects/{project}/deployments/{number.ToString(CultureInfo.InvariantCulture)}", view);
    }

    private static async Task<Results<Ok<Page<DeploymentView>>, ProblemHttpResult>> ListAsync(
        string project, int? cursor, int? limit, Caller caller, PlatformDb db, ServerOptions options, CancellationToken cancellationToken)
    {
        if (await db.FindProjectAsync(caller.TeamId, project, cancellationToken) is not { } found)
        {
            return Problems.NotFound("project", project);
        }

        var before = cursor ?? int.MaxValue;
        var size = Page<DeploymentView>.Limit(limit);
        var items = await db.ViewDeploymentsAsync(found, options, all => all.Where(d => d.Number < before).OrderByDescending(d => d.Number).Take(size), cancellationToken);
        return TypedResults.Ok(new Page<DeploymentView>(items, items.Count == size ? items[^1].Number.ToString(CultureInfo.InvariantCulture) : null));
    }

    private static async Task<Results<Ok<DeploymentView>, ProblemHttpResult>> GetAsync(
        string project, int number, Caller caller, PlatformDb db, ServerOptions options, CancellationToken cancellationToken)
    {
        if (await db.FindProjectAsync(caller.TeamId, project, cancellationToken) is not { } found)
        {
            return Problems.NotFound("project", project);
        }

        return await db.ViewDeploymentAsync(found, options, number, cancellationToken) is { } view
            ? TypedResults.Ok(view)
            : Problems.NotFound("deployment", number);
    }

    private static async Task<Results<Accepted<DeploymentView>, ProblemHttpResult>> CancelAsync(
        string project, int number, Caller caller, PlatformDb db, DeploymentQueue queue, ServerOptions options, CancellationToken cancellationToken)
    {
        if (await db.FindProjectAsync(caller.TeamId, project, cancellationToken) is not { } found)
        {
            return Problems.NotFound("project", project);
        }

        switch (await queue.CancelAsync(found.Id, number, cancellationToken))
        {
            case CancelOutcome.NotFound:
                return Problems.NotFound("deployment", number);
            case CancelOutcome.Finished:
                return Problems.Conflict("deployment_finished", $"Deployment {number} of '{project}' is finished; there is nothing to cancel. To undo it, roll back.");
            default:
                return TypedResults.Accepted((string?)null, await db.ViewDeploymentAsync(found, options, number, cancellationToken));
        }
    }

    private static async Task<Results<Accepted<DeploymentView>, ProblemHttpResult>> ActivateAsync(
        string project, int number, Caller caller, PlatformDb db, ActivationQueue activations, ServerOptions options, CancellationToken cancellationToken)
    {
        if (await db.FindProjectAsync(caller.TeamId, project, cancellationToken) is not { } found)
        {
            return Problems.NotFound("project", project);
        }

        if (await db.Deployments.AsNoTracking().FirstOrDefaultAsync(d => d.ProjectId == found.Id && d.Number == number, cancellationToken) is not { } deployment)
        {
            return Problems.NotFound("deployment", number);
        }

        return await OrderAsync(found, deployment, db, activations, options, cancellationToken);
    }

    private static async Task<Results<Accepted<DeploymentView>, ProblemHttpResult>> RollbackAsync(
        string project, Caller caller, PlatformDb db, ActivationQueue activations, ServerOptions options, CancellationToken cancellationToken)
    {
        if (await db.FindProjectAsync(caller.TeamId, project, cancellationToken) is not { } found)
        {
            return Problems.NotFound("project", project);
        }

        var environment = await db.Environments.AsNoTracking().FirstAsync(e => e.ProjectId == found.Id && e.Name == ProjectEnvironment.Production, cancellationToken);
        var previous = await db.Deployments.AsNoTracking()
            .Where(d => d.EnvironmentId == environment.Id && d.Status == DeploymentStatus.Live && d.Id != environment.LiveDeploymentId)
            .OrderByDescending(d => d.Id == environment.PreviousDeploymentId).ThenByDescending(d => d.Number)
            .FirstOrDefaultAsync(cancellationToken);
        return previous is null
            ? Problems.Conflict("nothing_to_roll_back_to", $"'{project}' has no earlier successful deployment.")
            : await OrderAsync(found, previous, db, activations, options, cancellationToken);
    }

    private static async Task<Results<Accepted<DeploymentView>, ProblemHttpResult>> OrderAsync(
        Project project, Deployment deployment, PlatformDb db, ActivationQueue activations, ServerOptions options, CancellationToken cancellationToken)
    {
        if (deployment.Status != DeploymentStatus.Live)
        {
            return Problems.Conflict("deployment_never_live", $"Deployment {deployment.Number} of '{project.Name}' never went live (it is {deployment.Status.ToString().ToLowerInvariant()}), so it cannot serve. Choose one that did: 'byteport deployments {project.Name}'.");
        }

        await activations.OrderAsync(deployment, cancellationToken);
        return TypedResults.Accepted((string?)null, await db.ViewDeploymentAsync(project, options, deployment.Number, cancellationToken));
    }
}
