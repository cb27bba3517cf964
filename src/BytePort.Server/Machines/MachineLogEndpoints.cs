using BytePort.Server.Accounts;
using BytePort.Server.Api;
using BytePort.Server.Database;
using BytePort.Server.Logs;

namespace BytePort.Server.Machines;

/// <summary>What a machine's main process writes: a part as JSON, or live as server-sent events until the process or the machine ends.</summary>
internal static class MachineLogEndpoints
{
    private const int PageSize = 1000;
    private const int DefaultTail = 100;

    public static void MapMachineLogs(this IEndpointRouteBuilder group) =>
        group.MapGet("{machine}/logs", ReadAsync).WithName("readMachineLogs")
            .WithSummary("The newest lines, or those after an offset; with 'Accept: text/event-stream' live, as events 'log' and at last 'end'")
            .Produces<MachineLogPage>().WithProblems();

    private static Task<IResult> ReadAsync(
        string machine, int? tail, long? from, HttpContext context, Caller caller, MachineService machines, MachineLogs logs, RuntimeLog log, ChangeHub changes, CancellationToken cancellationToken) =>
        MachineEndpoints.AnswerAsync(async () =>
        {
            var key = MachineLogs.KeyOf(machines.Get(caller.TeamId, machine).Id);
            var live = ServerSentEvents.Wanted(context.Request);
            var offset = ServerSentEvents.From(context.Request, from);
            // Asked before the lines are read: what was written until then is among them.
            var isWhole = logs.IsWhole(machine);
            var change = changes.NextChange(Changes.Log(key));
            var lines = offset > 0 || from is not null
                ? log.Read(key, offset, PageSize, _ => true, out var next)
                : log.Tail(key, Math.Clamp(tail ?? DefaultTail, 0, PageSize), _ => true, out next);
            if (!live)
                return TypedResults.Ok(new MachineLogPage([.. lines.Select(View)], next));

            var events = await ServerSentEvents.StartAsync(context);
            while (true)
            {
                foreach (var line in lines)
                    await events.WriteAsync("log", View(line), line.Offset, cancellationToken);
                await events.FlushAsync(cancellationToken);
                if (isWhole && lines.Count < PageSize)
                {
                    await events.WriteAsync("end", new { }, null, cancellationToken);
                    return TypedResults.Empty;
                }

                if (lines.Count < PageSize)
                {
                    await changes.WaitAsync(change, ServerSentEvents.KeepAlive, cancellationToken);
                    if (!change.IsCompleted)
                        await events.KeepAliveAsync(cancellationToken);
                }

                isWhole = logs.IsWhole(machine);
                change = changes.NextChange(Changes.Log(key));
                lines = log.Read(key, next, PageSize, _ => true, out next);
            }
        });

    private static MachineLineView View((long Offset, RuntimeLine Line) entry) => new(entry.Offset, entry.Line.Time, entry.Line.Stream, entry.Line.Text);

    internal sealed record MachineLineView(long Offset, DateTimeOffset Time, string Stream, string Text);

    internal sealed record MachineLogPage(IReadOnlyList<MachineLineView> Items, long Next);
}
