using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>
/// Both ends of a process's standard streams before it is started: pipes, or one terminal. -1 where there is none.
/// The agent's ends never wait; the program's do, as programs expect.
/// </summary>
internal sealed unsafe class ChildEnds
{
    private const nuint SetNonBlocking = 0x5421;
    private const int DuplicateClosing = 1030;

    private readonly List<int> _theirs = [];

    public int Input { get; private set; } = -1;

    public int Output { get; private set; } = -1;

    public int Errors { get; private set; } = -1;

    public bool IsTerminal => TerminalPath is not null;

    /// <summary>What the process opens as its terminal.</summary>
    public string? TerminalPath { get; private set; }

    /// <summary>The process's ends of pipes, to be duplicated to 0, 1 and 2.</summary>
    public int TheirInput { get; private set; } = -1;

    public int TheirOutput { get; private set; } = -1;

    public int TheirErrors { get; private set; } = -1;

    /// <param name="user">Who the process runs as: a terminal is that user's.</param>
    public static ChildEnds Open(ProcessSpec spec, uint user)
    {
        var ends = new ChildEnds();
        try
        {
            if (spec.Terminal is { } size)
            {
                (ends.Output, ends.TerminalPath) = Terminal.Open(size, user);
                // A descriptor of its own, as the loop waits for each apart.
                ends.Input = Libc.FileControl(ends.Output, DuplicateClosing, 0);
                return ends;
            }

            (ends.Output, ends.TheirOutput) = ends.Pipe(agentReads: true);
            (ends.Errors, ends.TheirErrors) = ends.Pipe(agentReads: true);
            if (spec.HasInput)
                (ends.Input, ends.TheirInput) = ends.Pipe(agentReads: false);
            return ends;
        }
        catch
        {
            ends.Close();
            throw;
        }
    }

    /// <summary>Closes what the process has now, or will never have.</summary>
    public void CloseTheirs()
    {
        foreach (var fd in _theirs)
            _ = Libc.Close(fd);
        _theirs.Clear();
    }

    public void Close()
    {
        CloseTheirs();
        foreach (var fd in (ReadOnlySpan<int>)[Input, Output, Errors])
        {
            if (fd >= 0)
                _ = Libc.Close(fd);
        }
    }

    private (int Ours, int Theirs) Pipe(bool agentReads)
    {
        var ends = stackalloc int[2];
        // SAFETY: the call fills two.
        if (Libc.Pipe2(ends, Libc.O_CLOEXEC) != 0)
            throw AgentFailure.Of("cannot make a pipe");
        var (ours, theirs) = agentReads ? (ends[0], ends[1]) : (ends[1], ends[0]);
        _theirs.Add(theirs);
        var on = 1;
        // SAFETY: FIONBIO reads an int.
        _ = Libc.IoControl(ours, SetNonBlocking, &on);
        return (ours, theirs);
    }
}
