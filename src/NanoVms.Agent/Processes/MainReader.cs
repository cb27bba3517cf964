using NanoVms.Agent.Protocol;

namespace NanoVms.Agent.Processes;

/// <summary>Follows the main process's output from an offset on, until it has ended and all is sent.</summary>
internal sealed class MainReader(uint id, HostChannel channel, MainProcess main, long from) : OutputStream(id, channel)
{
    private readonly byte[] _buffer = new byte[Wire.MaxOutput];
    private long _offset = from;

    public override bool Pump()
    {
        var count = main.Ring.Read(ref _offset, _buffer.AsSpan(0, Room), out var isError, out var time);
        if (count > 0)
        {
            SendOutput(_offset, isError, time, _buffer.AsSpan(0, count));
            _offset += count;
            return true;
        }

        if (main.State == MainState.Exited && _offset >= main.Ring.End)
            Finish(FrameType.End, default);
        return false;
    }

    public override void Cancel() => IsFinished = true;
}
