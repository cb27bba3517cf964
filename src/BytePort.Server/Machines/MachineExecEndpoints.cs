using BytePort.Server.Accounts;
using BytePort.Server.Api;
using BytePort.Server.Machines.Templates;
using NanoVms.Machines;

namespace BytePort.Server.Machines;

/// <summary>Runs processes in a machine: one request and one answer for programs, or a WebSocket with input and output as they come.</summary>
internal static class MachineExecEndpoints
{
    private const int MaxOutputBytes = 1 << 20;
    private const int MaxSeconds = 600;
    private const int DefaultSeconds = 60;

    public static void MapMachineExec(this IEndpointRouteBuilder group)
    {
        group.MapPost("{machine}/exec", RunAsync).WithName("runInMachine")
            .WithSummary("Run a command to its end, at most 'seconds' (default 60, most 600); the first MiB of each output comes back")
            .Produces<ExecResult>().WithProblems();
        group.MapGet("{machine}/exec", ConnectAsync).WithName("connectToMachine")
            .WithSummary("A WebSocket with a process: see docs/reference/machines-api.md")
            .Produces(StatusCodes.Status101SwitchingProtocols).WithProblems().ProducesProblem(StatusCodes.Status426UpgradeRequired);
    }

    private static Task<IResult> RunAsync(
        string machine, ExecRequest body, Caller caller, MachineService machines, TimeProvider time, CancellationToken cancellationToken) => MachineEndpoints.AnswerAsync(async () =>
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(Math.Clamp(body.Seconds ?? DefaultSeconds, 1, MaxSeconds)), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var output = new MemoryStream();
        using var error = new MemoryStream();
        var isCut = false;
        try
        {
            await using var process = await machines.ExecAsync(caller.TeamId, machine, body.ToProcess(), either.Token);
            await foreach (var chunk in process.ReadOutputAsync(either.Token))
            {
                var stream = chunk.IsError ? error : output;
                var room = Math.Min(chunk.Data.Length, MaxOutputBytes - (int)stream.Length);
                stream.Write(chunk.Data.Span[..room]);
                isCut |= room < chunk.Data.Length;
            }

            var exit = await process.Exited.WaitAsync(either.Token);
            return TypedResults.Ok(new ExecResult(exit.ExitCode, exit.Signal, exit.Reason, Text(output), Text(error), isCut));
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return Problems.Create(StatusCodes.Status408RequestTimeout, "exec_timeout", "It took too long", "The process did not end in time and was killed.");
        }
        catch (MachineException e)
        {
            throw MachineService.Explain(machines.Get(caller.TeamId, machine), e);
        }
    });

    private static async Task ConnectAsync(
        string machine, HttpContext context, Caller caller, MachineService machines, DisconnectHooks hooks, CancellationToken cancellationToken)
    {
        var refusal = await MachineEndpoints.AnswerAsync(() =>
        {
            _ = machines.Get(caller.TeamId, machine);
            return Task.FromResult<IResult>(!context.WebSockets.IsWebSocketRequest
                ? Problems.Create(StatusCodes.Status426UpgradeRequired, "websocket_required", "A WebSocket is needed", "Connect by a WebSocket, or POST a command to the same address.")
                : IsForeign(context.Request)
                    ? Problems.Create(StatusCodes.Status403Forbidden, "foreign_origin", "Not from here", "A browser may connect only from the platform's own pages.")
                    : TypedResults.Empty);
        });
        if (refusal is not Microsoft.AspNetCore.Http.HttpResults.EmptyHttpResult)
        {
            await refusal.ExecuteAsync(context);
            return;
        }

        using var socket = await context.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext { KeepAliveInterval = TimeSpan.FromSeconds(15) });
        var hadTerminal = false;
        await new ExecSession(socket).RunAsync(
            process =>
            {
                hadTerminal |= process.Terminal is not null;
                return machines.ExecAsync(caller.TeamId, machine, process, cancellationToken);
            },
            cancellationToken);
        if (hadTerminal)
            hooks.Disconnected(caller.TeamId, machine);
    }

    /// <summary>A browser sends its cookie along from any site's script, and says in Origin whose it is; other programs send none.</summary>
    private static bool IsForeign(HttpRequest request) =>
        request.Headers.Origin.ToString() is { Length: > 0 } origin && (!Uri.TryCreate(origin, UriKind.Absolute, out var uri) || uri.Authority != request.Host.Value);

    private static string Text(MemoryStream stream) => System.Text.Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);

    /// <param name="ExitCode">Null when a signal ended it.</param>
    /// <param name="Truncated">True when an output was longer than what came back.</param>
    internal sealed record ExecResult(int? ExitCode, int? Signal, string Reason, string Output, string Error, bool Truncated);
}
