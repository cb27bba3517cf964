using System.Text;
using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>The one process the machine is for. Its output is always taken, whether or not a host listens.</summary>
internal sealed unsafe class MainProcess(EventLoop loop, Reaper reaper)
{
    // What a program wrote just before it ended fits both pipes; more can only come from a process that fled the session.
    private const int MaxDrain = 4 * 1024 * 1024;

    private readonly byte[] _buffer = new byte[64 * 1024];
    private OutputRing? _ring;
    private Child? _child;
    private long _kills;

    public MainState State { get; private set; }

    public ProcessExit? Exit { get; private set; }

    /// <summary>Called once, when it has ended.</summary>
    public Action? Exited { get; set; }

    public OutputRing Ring => _ring ??= new OutputRing();

    public void Start(ProcessSpec spec)
    {
        if (State != MainState.NotStarted)
            throw new AgentFailure("the main process was started already; a machine has one");
        _kills = ExitReport.OutOfMemoryKills();
        var (child, code, reason) = Spawner.Spawn(spec);
        if (child is null)
        {
            Ring.Append(Encoding.UTF8.GetBytes(reason + "\n"), isError: true, Clock.Now);
            End(ExitReport.NotStarted(code, reason));
            return;
        }

        State = MainState.Running;
        _child = child;
        child.Ended = () => OnEnded(child);
        loop.Add(child.Output, Libc.EPOLLIN, _ => Take(isError: false));
        loop.Add(child.Errors, Libc.EPOLLIN, _ => Take(isError: true));
        reaper.Add(child);
    }

    public void Signal(int signal) => _child?.Signal(signal);

    /// <summary>Reads once from a pipe.</summary>
    /// <returns>How many bytes; 0 when there is nothing now or any more.</returns>
    private int Take(bool isError)
    {
        var fd = isError ? _child!.Errors : _child!.Output;
        if (fd < 0)
            return 0;
        nint count;
        // SAFETY: the read stays within the pinned array.
        fixed (byte* buffer = _buffer)
            count = Libc.Read(fd, buffer, (nuint)_buffer.Length);
        if (count > 0)
        {
            Ring.Append(_buffer.AsSpan(0, (int)count), isError, Clock.Now);
            return (int)count;
        }

        if (count == 0 || Errno.Last is not (Errno.EAGAIN or Errno.EINTR))
            Close(isError);
        return 0;
    }

    private void Close(bool isError)
    {
        var fd = isError ? _child!.Errors : _child!.Output;
        if (fd < 0)
            return;
        loop.Remove(fd);
        _child.ClosePipe(isError);
    }

    private void OnEnded(Child child)
    {
        for (var (drained, count) = (0, 1); count > 0 && drained < MaxDrain; drained += count)
            count = Take(isError: false) + Take(isError: true);
        Close(isError: false);
        Close(isError: true);
        End(ExitReport.Of(child.Status!.Value, ExitReport.OutOfMemoryKills() > _kills));
    }

    private void End(ProcessExit exit)
    {
        (State, Exit) = (MainState.Exited, exit);
        Exited?.Invoke();
    }
}
