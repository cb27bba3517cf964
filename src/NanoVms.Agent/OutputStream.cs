using NanoVms.Agent.Interop;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>An answer that consists of many frames, sent as far as the host gives credit; and what the host sends along meanwhile.</summary>
internal abstract class OutputStream(uint id, HostChannel channel)
{
    private readonly WireWriter _writer = new();
    private long _inputCredit;

    public uint Id { get; } = id;

    /// <summary>True once the last frame was sent.</summary>
    public bool IsFinished { get; protected set; }

    /// <summary>False while there is output that should reach the host before the guest ends.</summary>
    public virtual bool IsDrained => true;

    /// <summary>Bytes that may still be sent, the frames' own cost included.</summary>
    private long Credit { get; set; }

    /// <summary>How many bytes of data the next frame may have; 0 while the stream must wait.</summary>
    protected int Room => channel.IsCongested ? 0 : (int)Math.Clamp(Credit - Wire.OutputCost, 0, Wire.MaxOutput);

    public void Grant(uint credit) => Credit += credit;

    /// <summary>Sends what can be sent now, one frame at most.</summary>
    /// <returns>Whether there may be more.</returns>
    public abstract bool Pump();

    /// <summary>The host lost interest, or is gone.</summary>
    public abstract void Cancel();

    /// <summary>Nothing more is sent.</summary>
    public void Abandon() => IsFinished = true;

    public void TakeInput(ReadOnlySpan<byte> data)
    {
        var cost = data.Length + Wire.OutputCost;
        if (data.Length is 0 or > Wire.MaxInput || cost > _inputCredit)
            throw new AgentFailure($"{data.Length} bytes of input came, where {_inputCredit} bytes of credit were left");
        _inputCredit -= cost;
        OnInput(data);
    }

    public virtual void EndInput() => throw NoInput();

    public virtual void Resize(TerminalSize size) => throw new AgentFailure("this stream has no terminal");

    public virtual void Signal(int signal) => throw new AgentFailure("this stream is no process that could be signaled");

    protected virtual void OnInput(ReadOnlySpan<byte> data) => throw NoInput();

    /// <summary>Allows the host so much more input.</summary>
    protected void GrantInput(int credit)
    {
        if (IsFinished)
            return;
        _inputCredit += credit;
        _writer.Clear();
        channel.Send(FrameType.InputCredit, Id, _writer.UInt32((uint)credit).Written);
    }

    protected void SendOutput(long offset, bool isError, long time, ReadOnlySpan<byte> data)
    {
        Credit -= data.Length + Wire.OutputCost;
        _writer.Clear();
        Messages.WriteOutput(_writer, offset, isError, time, data);
        channel.Send(FrameType.Output, Id, _writer.Written);
    }

    protected void Finish(FrameType type, ReadOnlySpan<byte> payload)
    {
        IsFinished = true;
        channel.Send(type, Id, payload);
    }

    private static AgentFailure NoInput() => new("the process was started without input");
}
