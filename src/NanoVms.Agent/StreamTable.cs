using NanoVms.Agent.Interop;
using NanoVms.Agent.Protocol;

namespace NanoVms.Agent;

/// <summary>The answers that go on, each by its number, and a fair turn for all of them.</summary>
/// <param name="fail">Tells the host that a stream came to an end for a reason.</param>
internal sealed class StreamTable(HostChannel channel, Action<uint, string> fail)
{
    private readonly Dictionary<uint, OutputStream> _streams = [];
    private readonly List<uint> _finished = [];

    /// <summary>True when hosts have got all that services wrote, as far as they follow them.</summary>
    public bool IsDrained
    {
        get
        {
            foreach (var stream in _streams.Values)
            {
                if (!stream.IsDrained)
                    return false;
            }

            return true;
        }
    }

    /// <summary>Before a stream is made, as making it may start a process.</summary>
    public void CheckRoom(uint id)
    {
        if (_streams.Count >= Wire.MaxStreams)
            throw new AgentFailure($"{Wire.MaxStreams} streams are open, no more are possible");
        if (_streams.ContainsKey(id))
            throw new AgentFailure($"stream {id} is open already");
    }

    public void Add(OutputStream stream, uint credit)
    {
        stream.Grant(credit);
        _streams.Add(stream.Id, stream);
    }

    /// <summary>Does something to a stream, if it is still open; one that fails at it comes to its end.</summary>
    public void Tell(uint id, Action<OutputStream> action)
    {
        if (_streams.TryGetValue(id, out var stream))
            Guard(stream, action);
    }

    public void TakeInput(uint id, ReadOnlySpan<byte> data)
    {
        if (!_streams.TryGetValue(id, out var stream))
            return;
        try
        {
            stream.TakeInput(data);
        }
        catch (Exception failure)
        {
            Break(stream, failure);
        }
    }

    /// <summary>Gives every stream its turn until none can send, then writes.</summary>
    public void Pump()
    {
        for (var more = true; more;)
        {
            more = false;
            foreach (var stream in _streams.Values)
            {
                var sent = false;
                Guard(stream, s => sent = s.Pump());
                more |= sent;
                if (stream.IsFinished)
                    _finished.Add(stream.Id);
            }

            foreach (var id in _finished)
                _streams.Remove(id);
            _finished.Clear();
            channel.Flush();
        }
    }

    public void Clear()
    {
        foreach (var stream in _streams.Values)
            stream.Cancel();
        _streams.Clear();
    }

    private void Guard(OutputStream stream, Action<OutputStream> action)
    {
        try
        {
            action(stream);
        }
        catch (Exception failure)
        {
            Break(stream, failure);
        }
    }

    private void Break(OutputStream stream, Exception failure)
    {
        stream.Cancel();
        stream.Abandon();
        fail(stream.Id, failure is AgentFailure or ProtocolException
            ? failure.Message
            : $"the agent failed: {failure.GetType().Name} {failure.Message}");
    }
}
