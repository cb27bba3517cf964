using System.Threading.Channels;
using BytePort.Server.Accounts;
using BytePort.Server.Api;
using Microsoft.AspNetCore.Http.HttpResults;
using NanoVms.Machines;

namespace BytePort.Server.Machines;

/// <summary>What a guest's kernel and agent write to the console: what is kept of it as JSON, or live as server-sent events.</summary>
internal static class MachineConsoleEndpoints
{
    /// <summary>What waits for a slow reader while a machine starts; the rest is in the console's own beginning and end.</summary>
    private const int MaxWaiting = 64;

    public static void MapMachineConsole(this IEndpointRouteBuilder group) =>
        group.MapGet("{machine}/console", ReadAsync).WithName("readMachineConsole")
            .WithSummary("What is kept of the console from an offset on, in base64; with 'Accept: text/event-stream' live, as events 'console' and at last 'end'")
            .Produces<ConsolePage>().WithProblems();

    /// <summary>Spawns a machine and tells what it writes while it starts.</summary>
    public static async Task<IResult> SpawnAsync(HttpContext context, Func<Action<ConsoleChunk>, Task<Machine>> spawn, CancellationToken cancellationToken)
    {
        var chunks = Channel.CreateBounded<ConsoleChunk>(new BoundedChannelOptions(MaxWaiting) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        var events = await ServerSentEvents.StartAsync(context);
        var spawning = EndAsync();
        await foreach (var chunk in chunks.Reader.ReadAllAsync(cancellationToken))
        {
            await events.WriteAsync("console", View(chunk), null, cancellationToken);
            await events.FlushAsync(cancellationToken);
        }

        switch (await spawning)
        {
            case Created<MachineView> { Value: { } machine }:
                await events.WriteAsync("machine", machine, null, cancellationToken);
                break;
            case ProblemHttpResult problem:
                await events.WriteAsync("problem", problem.ProblemDetails, null, cancellationToken);
                break;
        }

        return TypedResults.Empty;

        // Ends the events whatever happens; its answer is the last of them.
        async Task<IResult> EndAsync()
        {
            try
            {
                return await MachineEndpoints.AnswerAsync(async () => TypedResults.Created((string?)null, MachineView.Of(await spawn(chunk => chunks.Writer.TryWrite(chunk)))));
            }
            finally
            {
                chunks.Writer.Complete();
            }
        }
    }

    private static Task<IResult> ReadAsync(string machine, long? from, HttpContext context, Caller caller, MachineService machines, CancellationToken cancellationToken) =>
        MachineEndpoints.AnswerAsync(async () =>
        {
            var found = machines.Get(caller.TeamId, machine);
            var offset = ServerSentEvents.From(context.Request, from);
            if (!ServerSentEvents.Wanted(context.Request))
            {
                var pieces = new List<ConsolePiece>();
                // Its beginning and its end, as far as they are kept.
                while (pieces.Count < 2 && await found.PeekConsoleAsync(offset, cancellationToken) is { } piece)
                {
                    pieces.Add(View(piece));
                    offset = piece.Next;
                }

                return TypedResults.Ok(new ConsolePage(pieces, offset));
            }

            var events = await ServerSentEvents.StartAsync(context);
            await using var chunks = found.ReadConsoleAsync(offset, cancellationToken).GetAsyncEnumerator(cancellationToken);
            var next = chunks.MoveNextAsync().AsTask();
            while (true)
            {
                await ((Task)next).WaitAsync(ServerSentEvents.KeepAlive, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                cancellationToken.ThrowIfCancellationRequested();
                if (!next.IsCompleted)
                {
                    await events.KeepAliveAsync(cancellationToken);
                }
                else if (await next)
                {
                    await events.WriteAsync("console", View(chunks.Current), chunks.Current.Next, cancellationToken);
                    next = chunks.MoveNextAsync().AsTask();
                }
                else
                {
                    await events.WriteAsync("end", new { }, null, cancellationToken);
                    return TypedResults.Empty;
                }

                await events.FlushAsync(cancellationToken);
            }
        });

    private static ConsolePiece View(ConsoleChunk chunk) => new(chunk.Offset, chunk.Next, Convert.ToBase64String(chunk.Data.Span));

    /// <param name="Offset">Of the first byte. What lies between two pieces was not kept.</param>
    /// <param name="Data">In base64, as the guest wrote it: make it harmless before it is shown.</param>
    internal sealed record ConsolePiece(long Offset, long Next, string Data);

    internal sealed record ConsolePage(IReadOnlyList<ConsolePiece> Items, long Next);
}
