using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Processes;

/// <summary>A process that the agent started; it leads a session of the same number.</summary>
internal sealed class Child(int pid, int output, int errors)
{
    public int Pid { get; } = pid;

    /// <summary>Read ends of its standard output and error; -1 once closed.</summary>
    public int Output { get; private set; } = output;

    public int Errors { get; private set; } = errors;

    /// <summary>As waitpid gave it; null while it runs.</summary>
    public int? Status { get; private set; }

    /// <summary>Called once, when it has ended.</summary>
    public Action? Ended { get; set; }

    public void End(int status)
    {
        Status = status;
        Ended?.Invoke();
    }

    /// <summary>Signals the process and all of its session. Nothing happens when it has ended.</summary>
    public void Signal(int signal)
    {
        if (Status is null)
            Session.Signal(Pid, signal);
    }

    public void ClosePipe(bool isError)
    {
        var fd = isError ? Errors : Output;
        if (fd >= 0)
            _ = Libc.Close(fd);
        if (isError)
            Errors = -1;
        else
            Output = -1;
    }
}
