using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Processes;

/// <summary>All processes of a session, also those that a shell has put into groups of their own.</summary>
internal static class Session
{
    /// <summary>Sends a signal to every process of the session. The leader must not have been reaped: until then its number is not reused.</summary>
    public static void Signal(int session, int signal)
    {
        if (signal != Libc.SIGKILL)
        {
            SignalMembers(session, signal);
            return;
        }

        // A process may start another while we look; a round that finds none alive ends it.
        for (var round = 0; round < 20 && SignalMembers(session, signal) > 0; round++)
        {
        }
    }

    private static int SignalMembers(int session, int signal)
    {
        var alive = 0;
        foreach (var name in Files.List("/proc"))
        {
            if (!int.TryParse(name, out var pid))
                continue;
            var (state, itsSession) = Read(pid);
            if (itsSession != session || state is 'Z' or 'X')
                continue;
            if (Libc.Kill(pid, signal) == 0)
                alive++;
        }

        return alive;
    }

    private static (char State, int Session) Read(int pid)
    {
        // "pid (name) state parent group session …"; the name may hold anything.
        var text = Files.TryReadText($"/proc/{pid}/stat", 1024);
        var fields = text[(text.LastIndexOf(')') + 1)..].Split(' ', 6, StringSplitOptions.RemoveEmptyEntries);
        return fields.Length >= 4 && int.TryParse(fields[3], out var session) ? (fields[0][0], session) : ('X', -1);
    }
}
