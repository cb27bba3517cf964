using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using NanoVms.Commands;

namespace NanoVms.Drivers.Qemu;

/// <summary>
/// QEMU's machine protocol over one stream: JSON lines, commands answered by number, events in between
/// (docs/interop/qmp-spec.txt of QEMU). A message is at most 1 MiB, a command waits at most its time limit.
/// </summary>
internal sealed class QmpClient : IAsyncDisposable
{
    private const int MaxMessage = 1 << 20;
    private static readonly TimeSpan DefaultLimit = TimeSpan.FromSeconds(10);
    private readonly Stream _stream;
    private readonly Action<QmpEvent> _onEvent;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<long, TaskCompletionSource<JsonElement>> _waiting = new();
    private readonly TaskCompletionSource _greeted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _writing = new(1);
    private long _lastId;
    private Task _reading = Task.CompletedTask;

    private QmpClient(Stream stream, Action<QmpEvent> onEvent, TimeProvider time)
    {
        _stream = stream;
        _onEvent = onEvent;
        _time = time;
    }

    /// <summary>Completes, never fails, when the stream ends or QEMU broke the protocol.</summary>
    public Task Closed => _closed.Task;

    /// <summary>Waits for the greeting and negotiates. The client owns the stream, also when this fails.</summary>
    /// <param name="onEvent">Called in the order of the events, one at a time; must return soon.</param>
    public static async Task<QmpClient> ConnectAsync(Stream stream, Action<QmpEvent> onEvent, TimeProvider time, CancellationToken cancellationToken)
    {
        var client = new QmpClient(stream, onEvent, time);
        client._reading = client.ReadAsync();
        try
        {
            await client._greeted.Task.WaitAsync(DefaultLimit, time, cancellationToken);
            _ = await client.ExecuteAsync("qmp_capabilities", null, cancellationToken);
            return client;
        }
        catch (TimeoutException e)
        {
            await client.DisposeAsync();
            throw new QmpException("QEMU's monitor sent no greeting: another program may hold it.", e);
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a command and returns what it returned.</summary>
    /// <param name="arguments">Member to value; strings, numbers, booleans, lists and members of these.</param>
    /// <param name="file">Handed over along with the command.</param>
    /// <exception cref="QmpException">Refused, no answer in time, or the stream ended.</exception>
    public async Task<JsonElement> ExecuteAsync(
        string command, IReadOnlyDictionary<string, object>? arguments, CancellationToken cancellationToken, TimeSpan? limit = null, SafeHandle? file = null)
    {
        var id = Interlocked.Increment(ref _lastId);
        var answer = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting[id] = answer;
        try
        {
            // Closing empties the table once; whoever comes later sees it here.
            if (_closed.Task.IsCompleted)
                throw new QmpException($"QEMU's monitor is gone: '{command}' was not sent.");
            await SendAsync(Write(command, arguments, id), file, cancellationToken);
            return await answer.Task.WaitAsync(limit ?? DefaultLimit, _time, cancellationToken);
        }
        catch (TimeoutException e)
        {
            throw new QmpException($"QEMU's monitor did not answer '{command}' in {(limit ?? DefaultLimit).TotalSeconds:0.#} seconds.", e);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            throw new QmpException($"QEMU's monitor is gone: {e.Message}", e);
        }
        finally
        {
            _ = _waiting.TryRemove(id, out _);
        }
    }

    /// <summary>Hands QEMU an open file, which later commands name <c>fd:NAME</c>. One of the same name is replaced.</summary>
    /// <exception cref="QmpException">Refused, no answer in time, or the stream ended.</exception>
    public Task SendFileAsync(string name, SafeHandle file, CancellationToken cancellationToken) =>
        ExecuteAsync("getfd", new Dictionary<string, object> { ["fdname"] = name }, cancellationToken, file: file);

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        await _reading;
    }

    private static byte[] Write(string command, IReadOnlyDictionary<string, object>? arguments, long id)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("execute", command);
            writer.WriteNumber("id", id);
            if (arguments is not null)
            {
                writer.WriteStartObject("arguments");
                WriteMembers(writer, arguments);
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteMembers(Utf8JsonWriter writer, IReadOnlyDictionary<string, object> members)
    {
        foreach (var (name, value) in members)
        {
            writer.WritePropertyName(name);
            WriteValue(writer, value);
        }
    }

    private static void WriteValue(Utf8JsonWriter writer, object value)
    {
        switch (value)
        {
            case string text:
                writer.WriteStringValue(text);
                break;
            case bool flag:
                writer.WriteBooleanValue(flag);
                break;
            case int number:
                writer.WriteNumberValue(number);
                break;
            case long number:
                writer.WriteNumberValue(number);
                break;
            case IReadOnlyDictionary<string, object> members:
                writer.WriteStartObject();
                WriteMembers(writer, members);
                writer.WriteEndObject();
                break;
            case IReadOnlyList<object> list:
                writer.WriteStartArray();
                foreach (var item in list)
                    WriteValue(writer, item);
                writer.WriteEndArray();
                break;
            default:
                throw new ArgumentException($"QMP has no value like a {value.GetType().Name}.", nameof(value));
        }
    }

    private async Task SendAsync(byte[] message, SafeHandle? file, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            // Not canceled half way: the next command would follow on a broken line.
            if (file is null)
                await _stream.WriteAsync(message, CancellationToken.None);
            else
                UnixSockets.SendWithFile(((NetworkStream)_stream).Socket, message, file);
        }
        finally
        {
            _ = _writing.Release();
        }
    }

    private async Task ReadAsync()
    {
        var reader = PipeReader.Create(_stream, new StreamPipeReaderOptions(leaveOpen: true));
        var reason = "it closed the connection";
        try
        {
            while (true)
            {
                var result = await reader.ReadAsync();
                var buffer = result.Buffer;
                while (buffer.PositionOf((byte)'\n') is { } end)
                {
                    Handle(buffer.Slice(0, end));
                    buffer = buffer.Slice(buffer.GetPosition(1, end));
                }

                if (buffer.Length > MaxMessage)
                    throw new JsonException($"a message is longer than {MaxMessage} bytes");
                reader.AdvanceTo(buffer.Start, buffer.End);
                if (result.IsCompleted)
                    break;
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or JsonException or InvalidOperationException)
        {
            reason = e.Message;
        }

        await reader.CompleteAsync();
        await _stream.DisposeAsync();
        var gone = new QmpException($"QEMU's monitor is gone: {reason}.");
        _ = _closed.TrySetResult();
        _ = _greeted.TrySetException(gone);
        // Observed even when nobody waited for the greeting any more.
        _ = _greeted.Task.Exception;
        foreach (var waiter in _waiting.Values)
            _ = waiter.TrySetException(gone);
    }

    private void Handle(ReadOnlySequence<byte> line)
    {
        if (line.Length > MaxMessage)
            throw new JsonException($"a message is longer than {MaxMessage} bytes");
        using var document = JsonDocument.Parse(line);
        var message = document.RootElement;
        if (message.ValueKind != JsonValueKind.Object)
            throw new JsonException("a message is no object");

        if (message.TryGetProperty("event", out var name))
            _onEvent(new QmpEvent(name.GetString() ?? "", message.TryGetProperty("data", out var data) ? data.Clone() : default));
        else if (message.TryGetProperty("QMP", out _))
            _ = _greeted.TrySetResult();
        else if (message.TryGetProperty("id", out var id) && id.TryGetInt64(out var number) && _waiting.TryGetValue(number, out var waiter))
            Answer(message, waiter);
    }

    private static void Answer(JsonElement message, TaskCompletionSource<JsonElement> waiter)
    {
        if (message.TryGetProperty("return", out var value))
            _ = waiter.TrySetResult(value.Clone());
        else if (message.TryGetProperty("error", out var error) && error.TryGetProperty("desc", out var description))
            _ = waiter.TrySetException(new QmpException($"QEMU refused: {description.GetString()}"));
        else
            _ = waiter.TrySetException(new QmpException("QEMU answered neither with a result nor with an error."));
    }
}
