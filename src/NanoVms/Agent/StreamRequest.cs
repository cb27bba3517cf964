using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>A request that goes both ways: output comes, input and orders go.</summary>
/// <param name="answersCancel">Whether a cancel is answered, which is then waited for.</param>
internal sealed class StreamRequest(FrameLink link, FrameType last, bool mayLose, bool answersCancel, int window) : IAsyncDisposable
{
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly InputGate _input = new();
    private OutputRequest? _output;

    private OutputRequest Output => _output ?? throw new InvalidOperationException("The request was not sent yet.");

    public Task<byte[]> Last => Output.Last;

    public async Task OpenAsync(FrameType type, Action<WireWriter> write, CancellationToken cancellationToken)
    {
        _output = new OutputRequest(link, new OutputAnswer(last, 0, mayLose, window, _input), answersCancel, window);
        await _output.OpenAsync(type, write, cancellationToken);
        _ = _output.Last.ContinueWith(_ => _input.Close(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    public IAsyncEnumerable<OutputChunk> ReadAsync(CancellationToken cancellationToken) => Output.ReadAsync(cancellationToken);

    /// <summary>Waits while the guest takes nothing. What a process that has ended would have read is dropped.</summary>
    /// <returns>False when the guest takes no more.</returns>
    public async Task<bool> WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            while (!data.IsEmpty)
            {
                var count = await _input.TakeAsync(data.Length, cancellationToken);
                if (count == 0)
                    return await EndedAsync();
                var part = data[..count];
                data = data[count..];
                await link.SendAsync(FrameType.Input, Output.Stream, w => w.Raw(part.Span), cancellationToken);
            }

            return true;
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Says so after all that was written.</summary>
    public async Task EndInputAsync(CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            await SendAsync(FrameType.InputEnd, _ => { }, cancellationToken);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>At once, whatever input waits: a signal ends a process that does not read. Does nothing once the stream has ended.</summary>
    public async Task SendAsync(FrameType type, Action<WireWriter> write, CancellationToken cancellationToken)
    {
        if (!Last.IsCompleted)
            await link.SendAsync(type, Output.Stream, write, cancellationToken);
    }

    /// <summary>Reads the last frame; nonsense ends the connection.</summary>
    public async Task<T> ReadLastAsync<T>(Func<ReadOnlySpan<byte>, T> read) => link.Parse(await Last, read);

    public async ValueTask DisposeAsync()
    {
        _input.Close();
        if (_output is not null)
            await _output.DisposeAsync();
    }

    private async Task<bool> EndedAsync()
    {
        // A stream that failed says why.
        if (Last.IsCompleted)
            await Last;
        return false;
    }
}
