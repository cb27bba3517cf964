namespace NanoVms.Agent.Copies;

/// <summary>A guest's archive as it comes. A read that is canceled, or waits too long, ends the stream.</summary>
internal sealed class ArchiveStream : Stream
{
    private readonly StreamRequest _request;
    private readonly Func<AgentException, Exception> _explain;
    private readonly TimeProvider _time;
    private readonly TimeSpan _idle;
    private readonly CancellationTokenSource _cancel = new();
    private readonly IAsyncEnumerator<Machines.OutputChunk> _chunks;
    private ReadOnlyMemory<byte> _rest;

    /// <param name="idle">How long the guest may send nothing.</param>
    public ArchiveStream(StreamRequest request, Func<AgentException, Exception> explain, TimeProvider time, TimeSpan idle)
    {
        (_request, _explain, _time, _idle) = (request, explain, time, idle);
        _chunks = request.ReadAsync(_cancel.Token).GetAsyncEnumerator(_cancel.Token);
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_rest.IsEmpty && !await MoveAsync(cancellationToken))
            return 0;
        var count = Math.Min(buffer.Length, _rest.Length);
        _rest[..count].CopyTo(buffer);
        _rest = _rest[count..];
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Read it asynchronously.");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        await _cancel.CancelAsync();
        await _request.DisposeAsync();
        _cancel.Dispose();
        await base.DisposeAsync();
    }

    private async Task<bool> MoveAsync(CancellationToken cancellationToken)
    {
        await using var timer = _time.CreateTimer(_ => _cancel.Cancel(), null, _idle, Timeout.InfiniteTimeSpan);
        await using var registration = cancellationToken.Register(_cancel.Cancel);
        try
        {
            if (!await _chunks.MoveNextAsync())
                return false;
            _rest = _chunks.Current.Data;
            return true;
        }
        catch (AgentException failure)
        {
            throw _explain(failure);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw _explain(new AgentException($"The guest sent nothing of its files for {_idle.TotalSeconds:0} s.") { IsTransient = true });
        }
    }
}
