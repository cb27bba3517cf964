using System.Buffers;
using System.Net.WebSockets;
using System.Text.Json;
using NanoVms.Machines;

namespace BytePort.Server.Machines;

/// <summary>A process at the other end of a WebSocket (docs/reference/machines-api.md).</summary>
/// <remarks>
/// 1. The first message, a text, is the <see cref="ExecRequest"/>. 2. Until the process ends, output goes out as binary messages (a
/// byte for the stream, then the data), and what comes in is input or a control. 3. How it ended is a text, and the socket closes. If
/// the socket closes first, the process is killed.
/// </remarks>
internal sealed class ExecSession(WebSocket socket)
{
    private const int MaxMessageBytes = 128 * 1024;

    private static readonly TimeSpan CloseLimit = TimeSpan.FromSeconds(5);
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public async Task RunAsync(Func<ProcessSpec, Task<GuestProcess>> start, CancellationToken cancellationToken)
    {
        try
        {
            // 1.
            var (type, first) = await ReceiveAsync(cancellationToken);
            if (type == WebSocketMessageType.Close)
                return;
            var request = type == WebSocketMessageType.Text ? JsonSerializer.Deserialize<ExecRequest>(first.Span, Json) : null;
            if (request is null)
                throw new MachineFaultException(MachineFault.Invalid, "The first message must be a text that says what to run.");
            await using var process = await start(request.ToProcess());
            // 2.
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var input = TakeInputAsync(process, ended.Token);
            var output = SendOutputAsync(process, ended.Token);
            await Task.WhenAny(input, output);
            if (!output.IsCompleted)
            {
                // The caller left, or sent what nobody understands.
                await ended.CancelAsync();
                await output.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                await input;
                return;
            }

            // 3.
            await output;
            var exit = await process.Exited.WaitAsync(cancellationToken);
            await SendAsync(new ExecEnd(new ExecExit(exit.ExitCode, exit.Signal, exit.Reason), null), cancellationToken);
            await CloseAsync(WebSocketCloseStatus.NormalClosure, cancellationToken);
            // Its answer to the closing; canceling the receiving instead would tear the connection down under the last message.
            await input.WaitAsync(CloseLimit, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        catch (MachineFaultException e)
        {
            await RefuseAsync(e.Message, cancellationToken);
        }
        catch (MachineException e)
        {
            await RefuseAsync(e.Message, cancellationToken);
        }
        catch (JsonException)
        {
            await RefuseAsync("A message is not what the protocol says.", cancellationToken);
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or IOException)
        {
            // The caller is gone; the process was killed on the way here.
        }
    }

    private async Task SendOutputAsync(GuestProcess process, CancellationToken cancellationToken)
    {
        await foreach (var chunk in process.ReadOutputAsync(cancellationToken))
        {
            var message = ArrayPool<byte>.Shared.Rent(chunk.Data.Length + 1);
            try
            {
                message[0] = chunk.IsError ? (byte)2 : (byte)1;
                chunk.Data.Span.CopyTo(message.AsSpan(1));
                await socket.SendAsync(message.AsMemory(0, chunk.Data.Length + 1), WebSocketMessageType.Binary, endOfMessage: true, cancellationToken);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(message);
            }
        }
    }

    /// <summary>Ends when the caller closes.</summary>
    private async Task TakeInputAsync(GuestProcess process, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (type, data) = await ReceiveAsync(cancellationToken);
            if (type == WebSocketMessageType.Close)
                return;
            if (type == WebSocketMessageType.Binary)
            {
                _ = await process.WriteAsync(data, cancellationToken);
                continue;
            }

            var control = JsonSerializer.Deserialize<ExecControl>(data.Span, Json) ?? throw new JsonException();
            if (control.Resize is { } size)
                await process.ResizeAsync(size.ToSize(), cancellationToken);
            if (control.Signal is >= 1 and <= 64)
                await process.SignalAsync(control.Signal.Value, cancellationToken);
            if (control.End is true)
                await process.CloseInputAsync(cancellationToken);
        }
    }

    private async Task<(WebSocketMessageType Type, ReadOnlyMemory<byte> Data)> ReceiveAsync(CancellationToken cancellationToken)
    {
        var message = new ArrayBufferWriter<byte>(4096);
        while (true)
        {
            var received = await socket.ReceiveAsync(message.GetMemory(4096), cancellationToken);
            message.Advance(received.Count);
            if (message.WrittenCount > MaxMessageBytes)
                throw new MachineFaultException(MachineFault.Invalid, $"A message may have {MaxMessageBytes / 1024} KiB.");
            if (received.EndOfMessage || received.MessageType == WebSocketMessageType.Close)
                return (received.MessageType, message.WrittenMemory);
        }
    }

    private async Task RefuseAsync(string message, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(new ExecEnd(null, message), cancellationToken);
            await CloseAsync(WebSocketCloseStatus.PolicyViolation, cancellationToken);
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or IOException)
        {
            // There is nobody to tell.
        }
    }

    private Task SendAsync(ExecEnd end, CancellationToken cancellationToken) =>
        socket.SendAsync(JsonSerializer.SerializeToUtf8Bytes(end, Json), WebSocketMessageType.Text, endOfMessage: true, cancellationToken);

    private async Task CloseAsync(WebSocketCloseStatus status, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(CloseLimit);
        await socket.CloseOutputAsync(status, null, limit.Token);
    }

    private sealed record ExecControl(ExecSize? Resize, int? Signal, bool? End);

    private sealed record ExecEnd(ExecExit? Exit, string? Error);

    private sealed record ExecExit(int? ExitCode, int? Signal, string Reason);
}
