using NanoVms.Agent.Protocol;

namespace NanoVms.Agent.Copies;

/// <summary>Takes an archive from the host as input and lays it into a folder.</summary>
internal sealed class CopyIn : OutputStream
{
    private readonly FileWriter _writer;
    private readonly Func<bool> _mustWait;
    private readonly Queue<byte[]> _pieces = new();
    private bool _ended;

    /// <param name="mustWait">True while whatever writes to a disk would wait for ever.</param>
    public CopyIn(uint id, HostChannel channel, string folder, Func<bool> mustWait)
        : base(id, channel)
    {
        _writer = new FileWriter(folder);
        _mustWait = mustWait;
        GrantInput(Wire.InputWindow);
    }

    public override bool Pump()
    {
        if (IsFinished || _mustWait())
            return false;
        if (_pieces.TryDequeue(out var piece))
        {
            Guard(() => _writer.Feed(piece));
            GrantInput(piece.Length + Wire.OutputCost);
            return true;
        }

        if (!_ended)
            return false;
        Guard(_writer.End);
        _writer.Close();
        Finish(FrameType.Done, default);
        return false;
    }

    public override void Cancel()
    {
        if (IsFinished)
            return;
        IsFinished = true;
        _pieces.Clear();
        _writer.Close();
    }

    public override void EndInput() => _ended = true;

    protected override void OnInput(ReadOnlySpan<byte> data)
    {
        if (!_ended)
            _pieces.Enqueue(data.ToArray());
    }

    private static void Guard(Action action)
    {
        try
        {
            action();
        }
        catch (InvalidDataException failure)
        {
            throw new Interop.AgentFailure(failure.Message);
        }
    }
}
