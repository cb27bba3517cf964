using NanoVms.Agent.Interop;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>
/// A process beside the main one whose output goes to the host alone. Without credit its pipes are not read, so the program waits:
/// nothing is lost and nothing piles up.
/// </summary>
internal sealed unsafe class Exec : OutputStream
{
    private readonly EventLoop _loop;
    private readonly byte[] _buffer = new byte[Wire.MaxOutput];
    private readonly Child? _child;
    private readonly ProcessInput? _input;
    private readonly long _kills;
    private ProcessExit? _exit;
    private bool _listening;
    private long _offset;

    public Exec(uint id, HostChannel channel, EventLoop loop, Reaper reaper, ProcessSpec spec)
        : base(id, channel)
    {
        _loop = loop;
        _kills = ExitReport.OutOfMemoryKills();
        var (child, code, reason) = Spawner.Spawn(spec);
        if (child is null)
        {
            _exit = ExitReport.NotStarted(code, reason);
            return;
        }

        _child = child;
        if (child.Input >= 0)
        {
            _input = new ProcessInput(loop, child.Input, child.HasTerminal);
            GrantInput(Wire.InputWindow);
        }

        child.Ended = () =>
        {
            _exit = ExitReport.Of(child.Status!.Value, ExitReport.OutOfMemoryKills() > _kills);
            _input?.Close();
        };
        reaper.Add(child);
    }

    public override bool Pump()
    {
        if (IsFinished)
            return false;
        // While the process lives the loop says when there is something to read; afterwards what is left is taken without asking.
        Listen(_exit is null && Room > 0);
        if (_exit is null)
            return false;
        if (_child is not null && Room > 0 && (Take(isError: false) || Take(isError: true)))
            return true;
        if (_child is { Output: >= 0 } or { Errors: >= 0 })
            return false;
        var writer = new WireWriter();
        Messages.WriteExit(writer, _exit);
        Finish(FrameType.Exited, writer.Written);
        return false;
    }

    /// <summary>Ends the process and drops what it wrote: without credit its end could not be told otherwise.</summary>
    public override void Cancel()
    {
        _child?.Signal(Libc.SIGKILL);
        Close(isError: false);
        Close(isError: true);
        _input?.Close();
    }

    public override void EndInput() => _input?.End();

    public override void Resize(TerminalSize size) => _child?.Resize(size);

    public override void Signal(int signal) => _child?.Signal(signal);

    protected override void OnInput(ReadOnlySpan<byte> data) => _input!.Add(data, length => GrantInput(length + Wire.OutputCost));

    private void Listen(bool on)
    {
        if (_child is null || _listening == on)
            return;
        _listening = on;
        foreach (var isError in (ReadOnlySpan<bool>)[false, true])
        {
            var fd = isError ? _child.Errors : _child.Output;
            if (fd < 0)
                continue;
            // Not merely no events: a closed pipe is reported whatever was asked for, and the loop would spin.
            if (on)
                _loop.Add(fd, Libc.EPOLLIN, _ => Take(isError));
            else
                _loop.Remove(fd);
        }
    }

    /// <summary>Reads once and sends it. A pipe that ended is closed, and so is one that is empty when the process has ended.</summary>
    /// <returns>Whether something was sent.</returns>
    private bool Take(bool isError)
    {
        var fd = isError ? _child!.Errors : _child!.Output;
        var room = Room;
        if (fd < 0 || room == 0)
            return false;
        nint count;
        // SAFETY: room is at most the array's length.
        fixed (byte* buffer = _buffer)
            count = Libc.Read(fd, buffer, (nuint)room);
        if (count > 0)
        {
            SendOutput(_offset, isError, Clock.Now, _buffer.AsSpan(0, (int)count));
            _offset += count;
            return true;
        }

        var waits = count < 0 && Errno.Last is Errno.EAGAIN or Errno.EINTR;
        if (!waits || _exit is not null)
            Close(isError);
        return false;
    }

    private void Close(bool isError)
    {
        var fd = isError ? _child?.Errors : _child?.Output;
        if (fd is not >= 0)
            return;
        if (_listening)
            _loop.Remove(fd.Value);
        _child!.ClosePipe(isError);
    }
}
