using NanoVms.Agent.Interop;
using NanoVms.Agent.Protocol;

namespace NanoVms.Agent;

internal delegate void FrameHandler(in Frame frame);

/// <summary>
/// Frames to and from whichever host is at the other end. Nothing here waits: what cannot be written now is kept, and
/// <see cref="IsCongested"/> tells those who could go on for ever to hold back.
/// </summary>
internal sealed unsafe class HostChannel(EventLoop loop)
{
    private const int HighWater = 128 * 1024;

    private readonly byte[] _input = new byte[32 * 1024];
    private readonly byte[] _scratch = new byte[Frame.MaxLength];
    private byte[] _output = new byte[4096];
    private FrameReader _reader = new();
    private int _start;
    private int _end;
    private int _fd = -1;
    private bool _closesWithHost;

    public FrameHandler? Received { get; set; }

    /// <summary>The host is gone, or a new connection took its place.</summary>
    public Action? Lost { get; set; }

    public bool IsCongested => _end - _start > HighWater;

    public bool HasOutput => _end > _start;

    /// <param name="closesWithHost">False for a device that outlives its host, true for a socket.</param>
    public void Attach(int fd, bool closesWithHost)
    {
        Detach();
        _fd = fd;
        _closesWithHost = closesWithHost;
        // By edges: a port without a host reports that for ever.
        loop.Add(fd, Libc.EPOLLIN | Libc.EPOLLOUT | Libc.EPOLLET, _ => Receive());
        Receive();
    }

    /// <summary>Drops what was to be sent, ends whatever frame was cut short, and starts over.</summary>
    public void ResetOutput()
    {
        (_start, _end) = (0, 1);
        _output[0] = Frame.Delimiter;
    }

    public void Send(FrameType type, uint stream, ReadOnlySpan<byte> payload)
    {
        if (_fd < 0)
            return;
        var most = Frame.MaxWireLength(payload.Length);
        if (most > _output.Length - _end)
        {
            var kept = _output.AsSpan(_start, _end - _start);
            var target = kept.Length + most > _output.Length ? new byte[Math.Max(_output.Length * 2, kept.Length + most)] : _output;
            kept.CopyTo(target);
            (_output, _start, _end) = (target, 0, kept.Length);
        }

        _end += Frame.Write(type, 0, stream, payload, _scratch, _output.AsSpan(_end));
    }

    /// <summary>Writes as much as the other end takes now.</summary>
    public void Flush()
    {
        while (_fd >= 0 && _start < _end)
        {
            nint count;
            // SAFETY: the range lies in the pinned array.
            fixed (byte* output = _output)
                count = Libc.Write(_fd, output + _start, (nuint)(_end - _start));
            if (count <= 0)
            {
                if (count < 0 && Errno.Last == Errno.EINTR)
                    continue;
                break;
            }

            _start += (int)count;
        }

        if (_start == _end)
            (_start, _end) = (0, 0);
    }

    private void Receive()
    {
        while (_fd >= 0)
        {
            nint count;
            // SAFETY: the read stays within the pinned array.
            fixed (byte* input = _input)
                count = Libc.Read(_fd, input, (nuint)_input.Length);
            if (count < 0 && Errno.Last == Errno.EINTR)
                continue;
            if (count < 0 && Errno.Last == Errno.EAGAIN)
                return;
            if (count <= 0)
            {
                Lost?.Invoke();
                if (_closesWithHost)
                    Detach();
                return;
            }

            ReadOnlySpan<byte> rest = _input.AsSpan(0, (int)count);
            while (_reader.TryRead(ref rest, out var frame))
                Received?.Invoke(frame);
        }
    }

    private void Detach()
    {
        if (_fd < 0)
            return;
        loop.Remove(_fd);
        _ = Libc.Close(_fd);
        _fd = -1;
        _reader = new FrameReader();
        (_start, _end) = (0, 0);
        Lost?.Invoke();
    }
}
