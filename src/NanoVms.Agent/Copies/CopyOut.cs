using NanoVms.Agent.Interop;
using NanoVms.Agent.Protocol;

namespace NanoVms.Agent.Copies;

/// <summary>Sends an archive of a file or a folder as output.</summary>
internal sealed class CopyOut(uint id, HostChannel channel, string path) : OutputStream(id, channel)
{
    private readonly FileReader _reader = new(path);
    private readonly byte[] _buffer = new byte[Wire.MaxOutput];
    private long _offset;

    public override bool Pump()
    {
        if (IsFinished || Room == 0)
            return false;
        var count = _reader.Read(_buffer.AsSpan(0, Room));
        if (count > 0)
        {
            SendOutput(_offset, false, Clock.Now, _buffer.AsSpan(0, count));
            _offset += count;
            return true;
        }

        _reader.Close();
        Finish(FrameType.End, default);
        return false;
    }

    public override void Cancel()
    {
        IsFinished = true;
        _reader.Close();
    }
}
