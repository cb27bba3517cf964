using System.Diagnostics;
using System.Runtime.InteropServices;

namespace NanoVms.Commands;

/// <summary>Signals to a program and everything it started.</summary>
internal static partial class ProcessGroup
{
    private const int Sigkill = 9;

    /// <summary>
    /// Kills a program that leads its own process group. The tree is walked first, because a descendant may have
    /// moved to a group of its own; the group comes second, because a descendant may have lost its parent.
    /// </summary>
    public static void Kill(Process leader)
    {
        try
        {
            leader.Kill(entireProcessTree: true);
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception or AggregateException)
        {
            // It ended meanwhile; what it left behind is in the group.
        }

        _ = SendSignal(-leader.Id, Sigkill);
    }

    /// <summary>kill(2): 0 on success, -1 when no such process or group is left or it belongs to somebody else.</summary>
    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int processOrGroup, int signal);
}
