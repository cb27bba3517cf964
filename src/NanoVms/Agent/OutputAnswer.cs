using System.Threading.Channels;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>Output frames up to the credit given, then a last frame.</summary>
/// <param name="input">Null for a request that takes none.</param>
internal sealed class OutputAnswer(FrameType last, long from, bool mayLose, int window, InputGate? input = null) : PendingAnswer
{
    // Bounded by the credit: a guest that sends more has broken the protocol.
    private readonly Channel<OutputChunk> _chunks = Channel.CreateUnbounded<OutputChunk>(new() { SingleReader = true, SingleWriter = true });
    private long _credit = window;
    private long _next = from;

    public ChannelReader<OutputChunk> Chunks => _chunks.Reader;

    public void Grant(int credit) => Interlocked.Add(ref _credit, credit);

    public override void Fail(AgentException failure)
    {
        base.Fail(failure);
        _chunks.Writer.TryComplete(failure);
    }

    protected override bool TryTake(in Frame frame)
    {
        if (frame.Type == last)
        {
            Finish(frame.Payload);
            _chunks.Writer.TryComplete();
            return true;
        }

        if (frame.Type == FrameType.InputCredit && input is not null)
        {
            var reader = new WireReader(frame.Payload);
            input.Grant(reader.UInt32());
            return true;
        }

        if (frame.Type != FrameType.Output || Last.IsCompleted)
            return false;
        var chunk = Messages.ReadOutput(frame.Payload);
        if (chunk.Offset < _next || (chunk.Offset != _next && !mayLose) || chunk.Offset > long.MaxValue - chunk.Data.Length)
            throw new ProtocolException($"output of stream {Stream} goes on at {chunk.Offset}, not at {_next}");
        if (Interlocked.Add(ref _credit, -(chunk.Data.Length + Wire.OutputCost)) < 0)
            throw new ProtocolException($"more output on stream {Stream} than was asked for");
        _next = chunk.Offset + chunk.Data.Length;
        _chunks.Writer.TryWrite(chunk);
        return true;
    }
}
