using System.Buffers;
using System.Net.WebSockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary>Joins standard input and output to a process in a machine, over a WebSocket.</summary>
internal sealed class ExecConnection(CliHost host, WebSocket socket) : IDisposable
{
    private const int PieceBytes = 32 * 1024;
    private const int MaxTextBytes = 64 * 1024;

    private readonly SemaphoreSlim _sending = new(1);

    /// <summary>Runs it to its end.</summary>
    /// <exception cref="ApiException">The connection broke; the process was killed.</exception>
    public async Task<ExecEnd> RunAsync(ExecRequest request, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(JsonSerializer.SerializeToUtf8Bytes(request, ApiJson.Default.ExecRequest), WebSocketMessageType.Text, cancellationToken);
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            using var resized = request.Terminal is null ? null : PosixSignalRegistration.Create(PosixSignal.SIGWINCH, context => TellSize(ended.Token));
            if (request.Terminal is not null || request.Input is true)
            {
                // Not awaited: a read from a terminal cannot be called back.
                _ = Task.Run(() => SendInputAsync(ended.Token), CancellationToken.None);
            }

            var end = await ShowOutputAsync(cancellationToken);
            await ended.CancelAsync();
            return end;
        }
        catch (WebSocketException exception)
        {
            throw new ApiException($"The connection to the machine broke off: {exception.Message}", null, inner: exception);
        }
    }

    public void Dispose() => _sending.Dispose();

    private async Task<ExecEnd> ShowOutputAsync(CancellationToken cancellationToken)
    {
        await using var output = host.OpenOutput();
        await using var error = host.OpenError();
        var text = new ArrayBufferWriter<byte>();
        var piece = new byte[PieceBytes];
        Stream? stream = null;
        while (true)
        {
            var received = await socket.ReceiveAsync(piece.AsMemory(), cancellationToken);
            switch (received.MessageType)
            {
                case WebSocketMessageType.Close:
                    return new(null, null);
                case WebSocketMessageType.Binary:
                    var data = piece.AsMemory(0, received.Count);
                    if (stream is null && data.Length > 0)
                    {
                        stream = data.Span[0] == 2 ? error : output;
                        data = data[1..];
                    }

                    await (stream ?? output).WriteAsync(data, cancellationToken);
                    if (!received.EndOfMessage)
                        break;
                    await (stream ?? output).FlushAsync(cancellationToken);
                    stream = null;
                    break;
                default:
                    text.Write(piece.AsSpan(0, received.Count));
                    if (text.WrittenCount > MaxTextBytes)
                        throw new WebSocketException("a message is too long");
                    if (!received.EndOfMessage)
                        break;
                    return Read(text.WrittenSpan);
            }
        }
    }

    private static ExecEnd Read(ReadOnlySpan<byte> text)
    {
        try
        {
            return JsonSerializer.Deserialize(text, ApiJson.Default.ExecEnd) ?? new(null, null);
        }
        catch (JsonException)
        {
            throw new WebSocketException("what the server says is not BytePort's");
        }
    }

    private async Task SendInputAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var input = host.OpenInput();
            var piece = new byte[PieceBytes];
            int length;
            while ((length = await input.ReadAsync(piece, cancellationToken)) > 0)
                await SendAsync(piece.AsMemory(0, length), WebSocketMessageType.Binary, cancellationToken);
            await ControlAsync(new ExecControl(End: true), cancellationToken);
        }
        catch (Exception exception) when (exception is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException)
        {
            // The process has ended, and what would have been typed goes nowhere.
        }
    }

    private void TellSize(CancellationToken cancellationToken) => _ = TellSizeAsync(cancellationToken);

    private async Task TellSizeAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (RawTerminal.Size is var (columns, rows))
                await ControlAsync(new ExecControl(new ExecSize(columns, rows)), cancellationToken);
        }
        catch (Exception exception) when (exception is WebSocketException or OperationCanceledException or ObjectDisposedException)
        {
            // As above.
        }
    }

    private Task ControlAsync(ExecControl control, CancellationToken cancellationToken) =>
        SendAsync(JsonSerializer.SerializeToUtf8Bytes(control, ApiJson.Default.ExecControl), WebSocketMessageType.Text, cancellationToken);

    /// <summary>A WebSocket sends one message at a time.</summary>
    private async Task SendAsync(ReadOnlyMemory<byte> message, WebSocketMessageType type, CancellationToken cancellationToken)
    {
        await _sending.WaitAsync(cancellationToken);
        try
        {
            await socket.SendAsync(message, type, endOfMessage: true, cancellationToken);
        }
        finally
        {
            _ = _sending.Release();
        }
    }
}
