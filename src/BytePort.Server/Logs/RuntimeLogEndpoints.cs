using BytePort.Server.Accounts;
using BytePort.Server.Api;
using BytePort.Server.Database;
using BytePort.Server.Deployments;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Logs;

/// <summary>What services write at run time: a part as JSON, or live as server-sent events.</summary>
internal static class RuntimeLogEndpoints
{
    private const int PageSize = 1000;

    private const int DefaultTail = 100;

    public static void MapRuntimeLogs(this IEndpointRouteBuilder app)
        => app.MapGet("/api/v1/projects/{project}/logs", ReadAsync).WithName("readLogs").WithTags("logs").RequireAuthorization()
            .WithSummary("The newest lines, or those after an offset; with 'Accept: text/event-stream' live, as events 'log'")
            .Produces<RuntimeLogPage>().ProducesProblem(StatusCodes.Status404NotFound);

    private static async Task<IResult> ReadAsync(
        string project, string? service, int? tail, long? from, HttpContext context, Caller caller, IDbContextFactory<PlatformDb> databases, RuntimeLog log, ChangeHub changes, CancellationToken cancellationToken)
    {
        Guid id;
        await using (var db = await databases.CreateDbContextAsync(cancellationToken))
        {
            if (await db.FindProjectAsync(caller.TeamId, project, cancellationToken) is not { } found)
            {
                return Problems.NotFound("project", project);
            }

            id = found.Id;
        }

        bool Wanted(RuntimeLine line) => service is null || line.Service == service;
        var live = ServerSentEvents.Wanted(context.Request);
        var offset = ServerSentEvents.From(context.Request, from);
        var change = changes.NextChange(Changes.Log(id));
        var lines = offset > 0 || from is not null
            ? log.Read(id, offset, PageSize, Wanted, out var next)
            : log.Tail(id, Math.Clamp(tail ?? DefaultTail, 0, PageSize), Wanted, out next);
        if (!live)
        {
            return TypedResults.Ok(new RuntimeLogPage([.. lines.Select(View)], next));
        }

        var events = await ServerSentEvents.StartAsync(context);
        while (true)
        {
            foreach (var line in lines)
            {
                await events.WriteAsync("log", View(line), line.Offset, cancellationToken);
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

            change = changes.NextChange(Changes.Log(id));
            lines = log.Read(id, next, PageSize, Wanted, out next);
        }
    }

    private static RuntimeLineView View((long Offset, RuntimeLine Line) entry)
        => new(entry.Offset, entry.Line.Time, entry.Line.Service, entry.Line.Machine, entry.Line.Stream, entry.Line.Text);

    internal sealed record RuntimeLineView(long Offset, DateTimeOffset Time, string Service, string Machine, string Stream, string Text);

    internal sealed record RuntimeLogPage(IReadOnlyList<RuntimeLineView> Items, long Next);
}
