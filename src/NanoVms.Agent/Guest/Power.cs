using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>The end of the guest.</summary>
internal static unsafe class Power
{
    private const int Restart = 0x01234567;
    private const int PowerOff = 0x4321FEDC;
    private const long GraceTicks = 2 * TimeSpan.TicksPerSecond;
    private const nuint Freeze = 0xC0045877;

    /// <summary>
    /// Ends every process, writes out what is written to disks, and ends the machine: one on the mmio bus has no power button, but
    /// is run without restarts, so that a restart ends it; Cloud Hypervisor does restart, but there is a power button.
    /// </summary>
    public static void Off(GuestSystem guest)
    {
        EndProcesses();
        Libc.Sync();
        foreach (var line in Files.TryReadText("/proc/mounts").Split('\n'))
        {
            // "device folder type options …": what programs mounted themselves, such as volumes.
            var fields = line.Split(' ');
            if (fields.Length > 2 && fields[0].StartsWith("/dev/", StringComparison.Ordinal))
                Files.TryMount("", fields[1], "", Mounts.Remount | Mounts.ReadOnly, "");
        }

        var level = 0;
        // SAFETY: the request takes no notice of its argument. Frozen, the writable disk is whole on the device.
        if (guest.DiskFolder >= 0)
            _ = Libc.IoControl(guest.DiskFolder, Freeze, &level);
        _ = Libc.Reboot(Bus.IsMmio ? Restart : PowerOff);
    }

    /// <summary>Asks every process but this one to end, then makes it.</summary>
    public static void EndProcesses()
    {
        _ = Libc.Kill(-1, Libc.SIGTERM);
        WaitForProcesses(GraceTicks);
        _ = Libc.Kill(-1, Libc.SIGKILL);
        WaitForProcesses(GraceTicks);
    }

    private static void WaitForProcesses(long ticks)
    {
        var deadline = Clock.Uptime + ticks;
        int status;
        while (Clock.Uptime < deadline)
        {
            // SAFETY: one int is written. -1: no children are left, and with them no process, as orphans are init's children.
            var pid = Libc.WaitPid(-1, &status, Libc.WNOHANG);
            if (pid < 0)
                return;
            if (pid == 0)
                _ = Libc.Sleep(2000);
        }
    }
}
