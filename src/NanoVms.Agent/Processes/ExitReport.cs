using NanoVms.Agent.Guest;
using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>Turns a wait status into what the host is told.</summary>
internal static class ExitReport
{
    public static ProcessExit Of(int status, bool outOfMemory)
    {
        var signal = status & 0x7F;
        if (signal == 0)
        {
            var code = (status >> 8) & 0xFF;
            return new ProcessExit(code, null, $"The process exited with code {code}.");
        }

        var why = signal == Libc.SIGKILL && outOfMemory ? ": the guest ran out of memory" : "";
        return new ProcessExit(null, signal, $"The process was ended by signal {signal} ({Name(signal)}){why}.");
    }

    public static ProcessExit NotStarted(int code, string reason) => new(code, null, $"The process could not be started: {reason}.");

    /// <summary>How often the kernel ended a process for want of memory since boot.</summary>
    public static long OutOfMemoryKills()
    {
        // A container's own group has a counter of its own; a guest's root group has none.
        var text = ContainerGroup.TryReadKills() is { Length: > 0 } own ? own : Files.TryReadText("/proc/vmstat");
        return ContainerGroup.Value(text, "oom_kill");
    }

    private static string Name(int signal) => signal switch
    {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => "other",
    };
}
