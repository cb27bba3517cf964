using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>A process that the agent started; it leads a session of the same number.</summary>
/// <param name="ends">The agent's ends of its standard streams.</param>
internal sealed class Child(int pid, ChildEnds ends)
{
    public int Pid { get; } = pid;

    public bool HasTerminal { get; } = ends.IsTerminal;

    /// <summary>Write end of its standard input, or -1 when that is /dev/null. Belongs to whoever writes.</summary>
    public int Input { get; } = ends.Input;

    /// <summary>Read ends of its standard output and error; -1 once closed. A terminal has only the first.</summary>
    public int Output { get; private set; } = ends.Output;

    public int Errors { get; private set; } = ends.Errors;

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

    public void Resize(TerminalSize size)
    {
        if (!HasTerminal)
            throw new AgentFailure("the process has no terminal whose size could be changed");
        if (Output >= 0)
            Terminal.Resize(Output, size);
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
