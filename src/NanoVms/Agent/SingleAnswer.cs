using NanoVms.Agent.Protocol;

namespace NanoVms.Agent;

/// <summary>One frame of one type.</summary>
internal sealed class SingleAnswer(FrameType expected) : PendingAnswer
{
    protected override bool TryTake(in Frame frame)
    {
        if (frame.Type != expected)
            return false;
        Finish(frame.Payload);
        return true;
    }
}
