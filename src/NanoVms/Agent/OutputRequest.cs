using System.Runtime.CompilerServices;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>A request that is answered by output: gives credit as the output is used, and tells the agent when nobody reads on.</summary>
internal sealed class OutputRequest(FrameLink link, FrameType last, long from, bool mayLose, int window) : IAsyncDisposable
{
    private static readonly TimeSpan CancelTime = TimeSpan.FromSeconds(5);

    private readonly OutputAnswer _answer = new(last, from, mayLose, window);
    private bool _open;

    public Task<byte[]> Last => _answer.Last;

    public async Task OpenAsync(FrameType type, Action<WireWriter> write, CancellationToken cancellationToken)
    {
        link.Register(_answer);
        _open = true;
        await link.SendAsync(type, _answer.Stream, write, cancellationToken);
    }

    public async IAsyncEnumerable<OutputChunk> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var used = 0;
        await foreach (var chunk in _answer.Chunks.ReadAllAsync(cancellationToken))
        {
            yield return chunk;
            used += chunk.Data.Length + Wire.OutputCost;
            if (used < window / 2 || _answer.Last.IsCompleted)
                continue;
            _answer.Grant(used);
            var grant = (uint)used;
            used = 0;
            await link.SendAsync(FrameType.Credit, _answer.Stream, w => w.UInt32(grant), cancellationToken);
        }
    }

    /// <summary>Tells the agent to stop and waits a moment for it to say that it has.</summary>
    public async Task CancelAsync(TimeSpan limit)
    {
        if (!_open || _answer.Last.IsCompleted || link.Ended.IsCompleted)
            return;
        _open = false;
        using var late = new CancellationTokenSource(limit, link.Time);
        try
        {
            await link.SendAsync(FrameType.Cancel, _answer.Stream, _ => { }, late.Token);
            if (limit > TimeSpan.Zero && last != FrameType.End)
                await _answer.Last.WaitAsync(late.Token);
        }
        catch (Exception failure) when (failure is AgentException or OperationCanceledException)
        {
            // The connection is gone, or the guest does not react: the caller has given up on the answer already.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CancelAsync(CancelTime);
        link.Forget(_answer);
    }
}
