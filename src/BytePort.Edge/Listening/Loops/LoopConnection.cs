using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace BytePort.Edge.Listening.Loops;

/// <summary>
/// A connection whose socket an <see cref="EventLoop"/> watches. Two pipes lie between it and Kestrel; both are moved on by
/// whoever made it possible: arriving data by the loop, an answer by whoever wrote it.
/// </summary>
/// <remarks>
/// A request begins on the loop's thread, where nothing may block or take long. One that needs more than memory leaves
/// the loop (<see cref="LeaveAsync"/>); until it ends, all that it waits for goes on in the thread pool.
/// </remarks>
internal sealed class LoopConnection : DefaultConnectionContext, IConnectionSocketFeature
{
    private const int MinReadBytes = 2048;
    private const long MaxReadBytes = 1 << 20;
    private const long MaxWriteBytes = 64 << 10;

    private readonly EventLoop _loop;
    private readonly RequestScheduler _scheduler = new();
    private readonly Signal _readable = new();
    private readonly Signal _writable = new();
    private readonly Pipe _input;
    private readonly Pipe _output;
    private readonly CancellationTokenSource _closed = new();
    private readonly Lock _shutdown = new();
    private volatile bool _peerClosed;
    private bool _isShutDown;
    private Exception? _reason;
    private Task _work = Task.CompletedTask;

    public LoopConnection(string id, Socket socket, EventLoop loop, BlockPool pool)
        : base(id)
    {
        _loop = loop;
        Socket = socket;
        _input = new Pipe(new PipeOptions(pool, _scheduler, PipeScheduler.ThreadPool, MaxReadBytes, MaxReadBytes / 2, BlockPool.BlockBytes, useSynchronizationContext: false));
        _output = new Pipe(new PipeOptions(pool, PipeScheduler.Inline, _scheduler, MaxWriteBytes, MaxWriteBytes / 2, BlockPool.BlockBytes, useSynchronizationContext: false));
        Transport = new Duplex(_input.Reader, _output.Writer);
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;
        ConnectionClosed = _closed.Token;
        Features.Set<IMemoryPoolFeature>(new PoolFeature(pool));
        Features.Set<IConnectionSocketFeature>(this);
        Features.Set(this);
    }

    public Socket Socket { get; }

    /// <summary>Begins to move data. Kestrel gets the connection right after.</summary>
    public void Start()
    {
        _work = Task.WhenAll(ReceiveAsync(), SendAsync());
        _loop.Add(this);
    }

    /// <summary>Called by the loop.</summary>
    public void OnReady(uint events)
    {
        const uint broken = Native.Error | Native.HangUp;
        if ((events & (broken | Native.PeerClosed)) != 0)
            _peerClosed = true;
        if ((events & (broken | Native.PeerClosed | Native.Readable)) != 0)
            _readable.Raise();
        if ((events & (broken | Native.Writable)) != 0)
            _writable.Raise();
    }

    /// <summary>Goes on in the thread pool, and lets the rest of this request do so; a request that left does not come back.</summary>
    public LoopLeave LeaveAsync()
    {
        _scheduler.InPool = true;
        return default;
    }

    /// <summary>The request ended: the next one begins on the loop again.</summary>
    public void Rejoin() => _scheduler.InPool = false;

    public override void Abort(ConnectionAbortedException abortReason) => ShutDown(abortReason);

    public override async ValueTask DisposeAsync()
    {
        await Transport.Input.CompleteAsync().ConfigureAwait(false);
        await Transport.Output.CompleteAsync().ConfigureAwait(false);
        await _work.ConfigureAwait(false);
        _loop.Remove(this);
        Socket.Dispose();
        _closed.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }

    private async Task ReceiveAsync()
    {
        Exception? error = null;
        var writer = _input.Writer;
        var more = false;
        try
        {
            while (true)
            {
                if (!more)
                    await _readable.WaitAsync().ConfigureAwait(false);
                var memory = writer.GetMemory(MinReadBytes);
                if (!LoopSocket.TryReceive(Socket.SafeHandle, memory.Span, out var count))
                {
                    more = false;
                    continue;
                }

                if (count == 0)
                    break;

                // Less than fits means that there is no more, unless the client has closed: that is not told twice.
                more = count == memory.Length || _peerClosed;
                writer.Advance(count);
                var flush = await writer.FlushAsync().ConfigureAwait(false);
                if (flush.IsCompleted || flush.IsCanceled)
                    break;
            }
        }
        catch (ConnectionResetException exception)
        {
            error = exception;
        }
        finally
        {
            await writer.CompleteAsync(Volatile.Read(ref _reason) ?? error).ConfigureAwait(false);
            await _closed.CancelAsync().ConfigureAwait(false);
        }
    }

    private async Task SendAsync()
    {
        Exception? error = null;
        var reader = _output.Reader;
        try
        {
            while (true)
            {
                var read = await reader.ReadAsync().ConfigureAwait(false);
                if (read.IsCanceled)
                    break;
                var rest = read.Buffer;
                while (!rest.IsEmpty)
                {
                    if (LoopSocket.TrySend(Socket.SafeHandle, rest, out var sent))
                        rest = rest.Slice(sent);
                    else
                        await _writable.WaitAsync().ConfigureAwait(false);
                }

                reader.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                    break;
            }
        }
        catch (ConnectionResetException exception)
        {
            error = exception;
        }
        finally
        {
            ShutDown(error);
            await reader.CompleteAsync(error).ConfigureAwait(false);
            _input.Writer.CancelPendingFlush();
        }
    }

    /// <summary>Ends both directions; the loop then finds the socket ready, and both tasks come to their end.</summary>
    private void ShutDown(Exception? reason)
    {
        lock (_shutdown)
        {
            if (_isShutDown)
                return;
            _isShutDown = true;
            _reason = reason;
            try
            {
                Socket.Shutdown(SocketShutdown.Both);
            }
            catch (SocketException)
            {
                // The client was quicker.
            }
        }
    }

    private sealed class Duplex(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }

    private sealed class PoolFeature(BlockPool pool) : IMemoryPoolFeature
    {
        public MemoryPool<byte> MemoryPool => pool;
    }

    /// <summary>Where what a request waited for goes on.</summary>
    private sealed class RequestScheduler : PipeScheduler
    {
        public volatile bool InPool;

        public override void Schedule(Action<object?> action, object? state)
        {
            if (InPool)
                System.Threading.ThreadPool.UnsafeQueueUserWorkItem(action, state, preferLocal: false);
            else
                action(state);
        }
    }
}
