using System.Runtime.CompilerServices;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>A request that is answered by output: gives credit as the output is used, and tells the agent when nobody reads on.</summary>
/// <param name="answersCancel">Whether a cancel is answered, which is then waited for.</param>
internal sealed class OutputRequest(FrameLink link, OutputAnswer answer, bool answersCancel, int window) : IAsyncDisposable
{
    private static readonly TimeSpan CancelTime = TimeSpan.FromSeconds(5);

    private bool _open;

    public Task<byte[]> Last => answer.Last;

    public uint Stream => answer.Stream;

    public async Task OpenAsync(FrameType type, Action<WireWriter> write, CancellationToken cancellationToken)
    {
        link.Register(answer);
        _open = true;
        await link.SendAsync(type, answer.Stream, write, cancellationToken);
    }

    public async IAsyncEnumerable<OutputChunk> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var used = 0;
        await foreach (var chunk in answer.Chunks.ReadAllAsync(cancellationToken))
        {
            yield return chunk;
            used += chunk.Data.Length + Wire.OutputCost;
            if (used < window / 2 || answer.Last.IsCompleted)
                continue;
            answer.Grant(used);
            var grant = (uint)used;
            used = 0;
            await link.SendAsync(FrameType.Credit, answer.Stream, w => w.UInt32(grant), cancellationToken);
        }
    }

    /// <summary>Tells the agent to stop and waits a moment for it to say that it has.</summary>
    public async Task CancelAsync(TimeSpan limit)
    {
        if (!_open || answer.Last.IsCompleted || link.Ended.IsCompleted)
            return;
        _open = false;
        using var late = new CancellationTokenSource(limit, link.Time);
        try
        {
            await link.SendAsync(FrameType.Cancel, answer.Stream, _ => { }, late.Token);
            if (limit > TimeSpan.Zero && answersCancel)
                await answer.Last.WaitAsync(late.Token);
        }
        catch (Exception failure) when (failure is AgentException or OperationCanceledException)
        {
            // The connection is gone, or the guest does not react: the caller has given up on the answer already.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CancelAsync(CancelTime);
        link.Forget(answer);
        // Whoever still waits for its end learns that none will come.
        answer.Fail(new AgentException("The request was given up before the guest ended it."));
    }
}
