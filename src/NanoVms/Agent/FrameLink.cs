using System.Collections.Concurrent;
using System.Security.Cryptography;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>Frames over a stream: one reader that hands them to whoever asked, one writer at a time.</summary>
internal sealed class FrameLink(Stream stream, TimeProvider time) : IAsyncDisposable
{
    private static readonly TimeSpan WriteTime = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<uint, PendingAnswer> _pending = new();
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly CancellationTokenSource _closing = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<ProcessExit> _mainExited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly FrameReader _reader = new();
    private readonly byte[] _input = new byte[64 * 1024];
    private readonly byte[] _scratch = new byte[Frame.MaxLength];
    private readonly byte[] _wire = new byte[Frame.MaxWireLength(Frame.MaxPayload)];
    private uint _lastStream;
    private AgentException? _failure;
    private Task _reading = Task.CompletedTask;

    public Task Ended => _ended.Task;

    public Task<ProcessExit> MainExited => _mainExited.Task;

    public TimeProvider Time => time;

    /// <summary>Sends the greeting and skips everything until the answer that repeats the token, which no stale or forged byte can.</summary>
    public async Task<AgentInfo> GreetAsync(byte[] token, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closing.Token);
        try
        {
            // The delimiter ends what an earlier host may have left unfinished.
            await stream.WriteAsync(new[] { Frame.Delimiter }, either.Token);
            await WriteAsync(FrameType.Hello, 0, w => Messages.WriteHello(w, token), either.Token);
            while (true)
            {
                var count = await stream.ReadAsync(_input, either.Token);
                if (count == 0)
                    throw new EndOfStreamException();
                if (TryFindAck(count, token) is not { } info)
                    continue;
                if (info.MainExit is { } exit)
                    _mainExited.TrySetResult(exit);
                _reading = ReadAsync();
                return info;
            }
        }
        catch (ProtocolException violation)
        {
            throw Broken(violation);
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            throw new AgentException("The channel to the guest's agent closed before it answered.", failure) { IsTransient = true };
        }
    }

    public PendingAnswer Register(PendingAnswer answer)
    {
        answer.Stream = Interlocked.Increment(ref _lastStream);
        _pending[answer.Stream] = answer;
        // The reader may have ended before it could see this one.
        if (Ended.IsCompleted)
            answer.Fail(_failure ?? Lost(null));
        return answer;
    }

    public void Forget(PendingAnswer answer) => _pending.TryRemove(answer.Stream, out _);

    /// <summary>A request with one answer.</summary>
    public async Task<byte[]> AskAsync(
        FrameType type, Action<WireWriter> write, FrameType expected, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        var answer = Register(new SingleAnswer(expected));
        try
        {
            await SendAsync(type, answer.Stream, write, either.Token);
            return await answer.Last.WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new AgentException(
                $"The guest's agent did not answer {type} within {limit.TotalSeconds:0} s; the guest is overloaded, paused or stuck.")
            {
                IsTransient = true,
            };
        }
        finally
        {
            Forget(answer);
        }
    }

    /// <summary>Sends a message whole: once its first byte is out only the end of the connection stops it, whoever waits for it.</summary>
    public async Task SendAsync(FrameType type, uint streamId, Action<WireWriter> write, CancellationToken cancellationToken)
    {
        try
        {
            await WriteAsync(type, streamId, write, cancellationToken).WaitAsync(cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException || _closing.IsCancellationRequested)
        {
            throw _failure ?? Lost(failure);
        }
    }

    /// <summary>Reads what the guest sent; nonsense ends the connection.</summary>
    public T Parse<T>(byte[] payload, Func<ReadOnlySpan<byte>, T> read)
    {
        try
        {
            return read(payload);
        }
        catch (ProtocolException violation)
        {
            var failure = Broken(violation);
            End(failure);
            throw failure;
        }
    }

    public async ValueTask DisposeAsync()
    {
        End(Lost(null));
        await stream.DisposeAsync();
        await _reading;
        _closing.Dispose();
        _writing.Dispose();
    }

    private static AgentException Lost(Exception? inner) =>
        new("The channel to the guest's agent closed.", inner) { IsTransient = true };

    private static AgentException Broken(Exception violation) =>
        new($"The guest's agent broke the protocol, so its channel was closed: {violation.Message}", violation);

    private AgentInfo? TryFindAck(int count, byte[] token)
    {
        ReadOnlySpan<byte> rest = _input.AsSpan(0, count);
        AgentInfo? info = null;
        while (_reader.TryRead(ref rest, out var frame))
        {
            if (info is not null)
            {
                // What follows the answer in the same read.
                Handle(frame);
                continue;
            }

            if (frame.Type != FrameType.HelloAck || frame.Payload.Length < Wire.TokenLength)
                continue;
            var reader = new WireReader(frame.Payload);
            if (!CryptographicOperations.FixedTimeEquals(reader.Raw(Wire.TokenLength), token))
                continue;
            var (version, least, most) = (reader.UInt16(), reader.UInt16(), reader.UInt16());
            if (version is < Wire.MinVersion or > Wire.MaxVersion)
                throw new AgentException($"The guest's agent speaks protocol versions {least} to {most}, this host {Wire.MinVersion} to {Wire.MaxVersion}: start the machine anew.");
            info = Messages.ReadInfo(ref reader) with { Protocol = version };
        }

        return info;
    }

    private async Task WriteAsync(FrameType type, uint streamId, Action<WireWriter> write, CancellationToken cancellationToken)
    {
        var writer = new WireWriter();
        write(writer);
        var message = writer.Written.ToArray();
        if (message.Length > Wire.MaxMessage)
            throw new ArgumentException($"The {type} message has {message.Length} bytes; at most {Wire.MaxMessage} are possible. Pass less configuration or environment.");
        await _writing.WaitAsync(cancellationToken);
        try
        {
            var sent = 0;
            do
            {
                var part = Math.Min(message.Length - sent, Frame.MaxPayload);
                var flags = sent + part < message.Length ? Frame.More : (byte)0;
                var length = Frame.Write(type, flags, streamId, message.AsSpan(sent, part), _scratch, _wire);
                await WriteAsync(_wire.AsMemory(0, length));
                sent += part;
            }
            while (sent < message.Length);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>A guest that reads nothing must not hold up its writers for ever. What was written of the frame makes the connection useless.</summary>
    private async ValueTask WriteAsync(ReadOnlyMemory<byte> frame)
    {
        var writing = stream.WriteAsync(frame, _closing.Token);
        if (writing.IsCompletedSuccessfully)
            return;
        try
        {
            await writing.AsTask().WaitAsync(WriteTime, time);
        }
        catch (TimeoutException)
        {
            var failure = new AgentException($"The guest's agent took nothing for {WriteTime.TotalSeconds:0} s; the guest is overloaded, paused or stuck.") { IsTransient = true };
            End(failure);
            throw failure;
        }
    }

    private async Task ReadAsync()
    {
        await Task.Yield();
        try
        {
            while (true)
            {
                var count = await stream.ReadAsync(_input, _closing.Token);
                if (count == 0)
                    break;
                Dispatch(_input.AsSpan(0, count));
            }

            End(Lost(null));
        }
        catch (ProtocolException violation)
        {
            End(Broken(violation));
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException or OperationCanceledException)
        {
            End(Lost(failure));
        }
        catch (Exception failure)
        {
            // Whatever a guest found to send: without a reader everybody who waits would wait for ever.
            End(new AgentException($"The channel to the guest's agent failed, so it was closed: {failure.Message}", failure));
        }
    }

    private void Dispatch(ReadOnlySpan<byte> bytes)
    {
        var before = _reader.BadFrames;
        while (_reader.TryRead(ref bytes, out var frame))
            Handle(frame);
        if (_reader.BadFrames != before)
            throw new ProtocolException("bytes that are no frame");
    }

    private void Handle(in Frame frame)
    {
        if (frame.Type == FrameType.MainExited && frame.Stream == 0)
        {
            var reader = new WireReader(frame.Payload);
            _mainExited.TrySetResult(Messages.ReadExit(ref reader));
            return;
        }

        if (frame.Stream == 0 || frame.Stream > Volatile.Read(ref _lastStream) || frame.Flags != 0)
            throw new ProtocolException($"frame {(int)frame.Type} for stream {frame.Stream}, which nobody opened");
        // An answer that nobody waits for any more is dropped.
        if (_pending.TryGetValue(frame.Stream, out var answer))
            answer.Take(frame);
    }

    private void End(AgentException failure)
    {
        if (Interlocked.CompareExchange(ref _failure, failure, null) is not null)
            return;
        // First who waits, as closing runs foreign code that may fail.
        _ended.TrySetResult();
        foreach (var answer in _pending.Values)
            answer.Fail(failure);
        if (_mainExited.TrySetException(failure))
            _ = _mainExited.Task.Exception;
        try
        {
            _closing.Cancel();
        }
        catch (Exception e) when (e is AggregateException or ObjectDisposedException)
        {
            // A disposal came first, or a callback failed: either way nothing is written or read any more.
        }

        if (!failure.IsTransient)
            stream.Dispose();
    }
}
