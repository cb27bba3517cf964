using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace BytePort.Edge.Listening.Loops;

/// <summary>
/// A connection whose socket an <see cref="EventLoop"/> watches. Arriving data is handed to Kestrel by the loop; an answer is
/// sent by whoever wrote it.
/// </summary>
/// <remarks>
/// A request begins on the loop's thread, where nothing may block or take long. One that needs more than memory leaves
/// the loop (<see cref="LeaveAsync"/>); until it ends, all that it waits for goes on in the thread pool.
/// </remarks>
internal sealed class LoopConnection : DefaultConnectionContext, IConnectionSocketFeature
{
    private const int MinReadBytes = 2048;
    private const long MaxReadBytes = 1 << 20;

    private readonly EventLoop _loop;
    private readonly RequestScheduler _scheduler = new();
    private readonly Signal _readable = new();
    private readonly Pipe _input;
    private readonly LoopWriter _output;
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
        _output = new LoopWriter(socket.SafeHandle, pool, this);
        Transport = new Duplex(_input.Reader, _output);
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
        _work = ReceiveAsync();
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
            _output.OnWritable();
    }

    /// <summary>Goes on in the thread pool, and lets the rest of this request do so; a request that left does not come back.</summary>
    public LoopLeave LeaveAsync()
    {
        _scheduler.InPool = true;
        return new LoopLeave(stay: false);
    }

    /// <summary>Goes on in the thread pool if the request has left the loop, else right here.</summary>
    public LoopLeave FollowAsync() => new(stay: !_scheduler.InPool);

    /// <summary>Puts content into an HTTP/1 answer without a copy; see <see cref="LoopWriter.TryLend"/>.</summary>
    public bool TryLend(PipeWriter body, ReadOnlyMemory<byte> content) =>
        // TLS and the like put a transport of their own here, and write to ours whenever they want.
        ReferenceEquals(Transport.Output, _output) && _output.TryLend(body, content);

    /// <summary>The request ended: the next one begins on the loop again.</summary>
    public void Rejoin() => _scheduler.InPool = false;

    public override void Abort(ConnectionAbortedException abortReason) => ShutDown(abortReason);

    public override async ValueTask DisposeAsync()
    {
        await Transport.Input.CompleteAsync().ConfigureAwait(false);
        await Transport.Output.CompleteAsync().ConfigureAwait(false);
        await _work.ConfigureAwait(false);
        _output.Release();
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

    /// <summary>Ends both directions; the loop then finds the socket ready, and reading and writing come to their end.</summary>
    internal void ShutDown(Exception? reason)
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
