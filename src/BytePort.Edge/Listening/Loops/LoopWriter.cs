using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;

namespace BytePort.Edge.Listening.Loops;

/// <summary>
/// What Kestrel writes answers to. A flush sends right there; when the socket takes no more, the flush waits, which is what
/// holds back whoever writes. Content may be lent instead of copied (<see cref="TryLend"/>).
/// </summary>
internal sealed class LoopWriter(SafeSocketHandle socket, BlockPool pool, LoopConnection connection) : PipeWriter
{
    private readonly List<Chunk> _queue = [];
    private readonly Signal _writable = new();
    private IMemoryOwner<byte>? _block;
    private int _written;
    private long _unflushed;
    private ReadOnlyMemory<byte> _lent;
    private int _lentOn;
    private bool _lentOut;
    private volatile bool _cancelFlush;
    private volatile bool _broken;
    private bool _completed;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _unflushed;

    /// <summary>The socket takes more, or is broken.</summary>
    public void OnWritable() => _writable.Raise();

    /// <summary>
    /// Puts content into the answer without a copy: it is given out as the memory to write to, and taken back as written.
    /// The content must never change.
    /// </summary>
    /// <param name="body">The writer of the answer's body, whose headers were written.</param>
    /// <param name="content">All that is left of the body.</param>
    /// <returns>False when something between the body and this writer has memory of its own: then nothing happened.</returns>
    public bool TryLend(PipeWriter body, ReadOnlyMemory<byte> content)
    {
        _lent = content;
        _lentOn = Environment.CurrentManagedThreadId;
        try
        {
            _ = body.GetMemory(content.Length);
            if (!_lentOut)
                return false;
            body.Advance(content.Length);
            return true;
        }
        finally
        {
            _lent = default;
            _lentOut = false;
        }
    }

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (!_lent.IsEmpty && sizeHint == _lent.Length && _lentOn == Environment.CurrentManagedThreadId)
        {
            _lentOut = true;
            return MemoryMarshal.AsMemory(_lent);
        }

        if (_block is { } block)
        {
            if (block.Memory.Length - _written >= Math.Max(sizeHint, 1))
                return block.Memory[_written..];
            Seal();
        }

        _block = sizeHint <= BlockPool.BlockBytes ? pool.Rent() : MemoryPool<byte>.Shared.Rent(sizeHint);
        return _block.Memory;
    }

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override void Advance(int bytes)
    {
        _unflushed += bytes;
        if (_lentOut)
        {
            Seal();
            _queue.Add(new Chunk(_lent[..bytes], null));
            return;
        }

        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, (_block?.Memory.Length ?? 0) - _written);
        _written += bytes;
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        Seal();
        return TrySendAll() ? new ValueTask<FlushResult>(Result(canceled: false)) : WaitAsync(cancellationToken);
    }

    public override void CancelPendingFlush()
    {
        _cancelFlush = true;

        // Who cancels may hold locks that the waiter wants, so the waiter does not go on here.
        ThreadPool.UnsafeQueueUserWorkItem(static writable => writable.Raise(), _writable, preferLocal: false);
    }

    /// <summary>What was not flushed gets one try: Kestrel flushes all that has to arrive.</summary>
    public override void Complete(Exception? exception = null)
    {
        if (_completed)
            return;
        _completed = true;
        Seal();
        if (exception is null)
            TrySendAll();
        connection.ShutDown(exception);
    }

    /// <summary>Gives all memory back. Nothing writes or waits any more.</summary>
    public void Release()
    {
        foreach (var chunk in _queue)
            chunk.Owner?.Dispose();
        _queue.Clear();
        _block?.Dispose();
        _block = null;
    }

    private async ValueTask<FlushResult> WaitAsync(CancellationToken cancellationToken)
    {
        using var registration = cancellationToken.UnsafeRegister(static writer => ((LoopWriter)writer!).CancelPendingFlush(), this);
        while (true)
        {
            await _writable.WaitAsync().ConfigureAwait(false);
            await connection.FollowAsync();
            cancellationToken.ThrowIfCancellationRequested();
            if (_cancelFlush)
                return Result(canceled: true);
            if (TrySendAll())
                return Result(canceled: false);
        }
    }

    private FlushResult Result(bool canceled)
    {
        _cancelFlush = false;
        return new FlushResult(canceled, _broken);
    }

    /// <summary>Moves what was written to the current block to the queue.</summary>
    private void Seal()
    {
        if (_block is not { } block || _written == 0)
            return;
        _queue.Add(new Chunk(block.Memory[.._written], block));
        _block = null;
        _written = 0;
    }

    /// <returns>False when the socket takes no more now.</returns>
    private bool TrySendAll()
    {
        while (_queue.Count > 0)
        {
            var sent = 0;
            try
            {
                if (!_broken && !LoopSocket.TrySend(socket, CollectionsMarshal.AsSpan(_queue), out sent))
                    return false;
            }
            catch (ConnectionResetException exception)
            {
                _broken = true;
                connection.ShutDown(exception);
            }

            if (_broken)
                sent = int.MaxValue;
            var done = 0;
            while (done < _queue.Count && sent >= _queue[done].Data.Length)
            {
                sent -= _queue[done].Data.Length;
                _unflushed -= _queue[done].Data.Length;
                _queue[done++].Owner?.Dispose();
            }

            _queue.RemoveRange(0, done);
            if (_queue.Count == 0 || _broken)
                continue;
            _unflushed -= sent;
            _queue[0] = _queue[0] with { Data = _queue[0].Data[sent..] };
        }

        return true;
    }

    /// <param name="Data">To send.</param>
    /// <param name="Owner">Gets the memory back afterwards; null for lent content.</param>
    internal readonly record struct Chunk(ReadOnlyMemory<byte> Data, IDisposable? Owner);
}
