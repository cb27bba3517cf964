using System.Text;
using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>A process that the agent keeps by name. Its output is always taken, whether or not a host listens.</summary>
internal sealed unsafe class Service(string name, int ringBytes, EventLoop loop, Reaper reaper)
{
    // What a program wrote just before it ended fits both pipes; more can only come from a process that fled the session.
    private const int MaxDrain = 4 * 1024 * 1024;

    // One for all: the loop serves them in turn.
    private static readonly byte[] Buffer = new byte[64 * 1024];

    private OutputRing? _ring;
    private Child? _child;
    private long _kills;

    public string Name => name;

    public MainState State { get; private set; }

    public ProcessExit? Exit { get; private set; }

    /// <summary>Called once, when it has ended.</summary>
    public Action? Exited { get; set; }

    public OutputRing Ring => _ring ??= new OutputRing(ringBytes);

    /// <summary>Null when its input is /dev/null.</summary>
    public ProcessInput? Input { get; private set; }

    public ServiceInfo Info =>
        new(name, State, State == MainState.Running ? _child!.Pid : 0, _child is { HasTerminal: true }, _ring?.End ?? 0, Exit);

    /// <summary>Once.</summary>
    public void Start(ProcessSpec spec)
    {
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
        if (child.Input >= 0)
            Input = new ProcessInput(loop, child.Input, child.HasTerminal);
        child.Ended = () => OnEnded(child);
        loop.Add(child.Output, Libc.EPOLLIN, _ => Take(isError: false));
        if (child.Errors >= 0)
            loop.Add(child.Errors, Libc.EPOLLIN, _ => Take(isError: true));
        reaper.Add(child);
    }

    public void Signal(int signal) => _child?.Signal(signal);

    public void Resize(TerminalSize size) => _child?.Resize(size);

    /// <summary>Reads once from a pipe.</summary>
    /// <returns>How many bytes; 0 when there is nothing now or any more.</returns>
    private int Take(bool isError)
    {
        var fd = isError ? _child!.Errors : _child!.Output;
        if (fd < 0)
            return 0;
        nint count;
        // SAFETY: the read stays within the pinned array.
        fixed (byte* buffer = Buffer)
            count = Libc.Read(fd, buffer, (nuint)Buffer.Length);
        if (count > 0)
        {
            Ring.Append(Buffer.AsSpan(0, (int)count), isError, Clock.Now);
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
        Input?.Close();
        End(ExitReport.Of(child.Status!.Value, ExitReport.OutOfMemoryKills() > _kills));
    }

    private void End(ProcessExit exit)
    {
        (State, Exit) = (MainState.Exited, exit);
        Exited?.Invoke();
    }
}
