using NanoVms.Agent.Protocol;

namespace NanoVms.Agent;

/// <summary>What a request still expects from the guest.</summary>
internal abstract class PendingAnswer
{
    private readonly TaskCompletionSource<byte[]> _last = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Nobody need wait for an answer, for example after a cancel; its failure is then nobody's.
    protected PendingAnswer() =>
        _ = _last.Task.ContinueWith(static task => _ = task.Exception, TaskScheduler.Default);

    public uint Stream { get; set; }

    /// <summary>The payload of the frame that ends the answer.</summary>
    public Task<byte[]> Last => _last.Task;

    /// <summary>Called by the reader alone, in the order of the frames.</summary>
    /// <exception cref="ProtocolException">This frame is not what may come now.</exception>
    public void Take(in Frame frame)
    {
        if (frame.Type == FrameType.Failed)
        {
            var reader = new WireReader(frame.Payload);
            Fail(new AgentException("In the guest: " + reader.Line()));
        }
        else if (!TryTake(frame))
        {
            throw new ProtocolException($"frame {(int)frame.Type} does not answer stream {Stream}");
        }
    }

    public virtual void Fail(AgentException failure) => _last.TrySetException(failure);

    protected abstract bool TryTake(in Frame frame);

    protected void Finish(ReadOnlySpan<byte> payload) => _last.TrySetResult(payload.ToArray());
}
