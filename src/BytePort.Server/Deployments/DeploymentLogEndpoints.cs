using BytePort.Server.Accounts;
using BytePort.Server.Api;
using BytePort.Server.Database;
using BytePort.Server.Hosting;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Deployments;

/// <summary>A deployment's log: a part as JSON, or live as server-sent events.</summary>
internal static class DeploymentLogEndpoints
{
    private const int PageSize = 1000;

    public static void MapDeploymentLogs(this IEndpointRouteBuilder group)
        => group.MapGet("{number:int}/logs", GetAsync).WithName("readDeploymentLog")
            .WithSummary("The log after an offset; with 'Accept: text/event-stream' live, as events 'log', 'deployment' and 'end'")
            .Produces<LogPage>().ProducesProblem(StatusCodes.Status404NotFound);

    private static async Task<IResult> GetAsync(
        string project, int number, long? from, HttpContext context, Caller caller, IDbContextFactory<PlatformDb> databases, ChangeHub changes, ServerOptions options, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        if (await db.FindProjectAsync(caller.TeamId, project, cancellationToken) is not { } found)
        {
            return Problems.NotFound("project", project);
        }

        var deployment = await db.Deployments.AsNoTracking().FirstOrDefaultAsync(d => d.ProjectId == found.Id && d.Number == number, cancellationToken);
        if (deployment is null)
        {
            return Problems.NotFound("deployment", number);
        }

        if (!ServerSentEvents.Wanted(context.Request))
        {
            var items = await ReadAsync(db, deployment.Id, Math.Max(from ?? 0, 0), cancellationToken);
            return TypedResults.Ok(new LogPage(items, items.Count > 0 ? items[^1].Offset : from ?? 0, deployment.IsFinished && items.Count < PageSize));
        }

        var offset = ServerSentEvents.From(context.Request, from);
        var events = await ServerSentEvents.StartAsync(context);
        string? shown = null;
        while (true)
        {
            var change = changes.NextChange(Changes.Deployment(deployment.Id));
            // Status first, lines after: when the status says finished, the lines read next are all there are.
            var view = await db.ViewDeploymentAsync(found, options, number, cancellationToken);
            if (view is null)
            {
                await events.WriteAsync("end", new { }, null, cancellationToken);
                return TypedResults.Empty;
            }

            var lines = await ReadAsync(db, deployment.Id, offset, cancellationToken);
            foreach (var line in lines)
            {
                await events.WriteAsync("log", line, offset = line.Offset, cancellationToken);
            }

            var state = $"{view.Status} {view.Serving} {string.Join(',', view.Steps.Select(s => s.Status))}";
            if (state != shown && lines.Count < PageSize)
            {
                shown = state;
                await events.WriteAsync("deployment", view, null, cancellationToken);
            }

            if (lines.Count < PageSize && view.FinishedAt is not null)
            {
                await events.WriteAsync("end", new { }, null, cancellationToken);
                await events.FlushAsync(cancellationToken);
                return TypedResults.Empty;
            }

            await events.FlushAsync(cancellationToken);
            if (lines.Count < PageSize)
            {
                await changes.WaitAsync(change, ServerSentEvents.KeepAlive, cancellationToken);
                if (!change.IsCompleted)
                {
                    await events.KeepAliveAsync(cancellationToken);
                }
            }
        }
    }

    private static Task<List<LogLineView>> ReadAsync(PlatformDb db, Guid deployment, long after, CancellationToken cancellationToken)
        => db.DeploymentLog.AsNoTracking().Where(l => l.DeploymentId == deployment && l.Offset > after).OrderBy(l => l.Offset).Take(PageSize)
            .Select(l => new LogLineView(l.Offset, l.Step, l.Time, l.Stream, l.Text)).ToListAsync(cancellationToken);
}
