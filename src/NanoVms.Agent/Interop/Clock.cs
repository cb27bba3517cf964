namespace NanoVms.Agent.Interop;

/// <summary>The kernel's clocks, in units of 100 ns.</summary>
internal static unsafe class Clock
{
    /// <summary>Since 1970.</summary>
    public static long Now => Read(Libc.CLOCK_REALTIME);

    /// <summary>Since the kernel started, time in suspension included.</summary>
    public static long Uptime => Read(Libc.CLOCK_BOOTTIME);

    /// <param name="time">Since 1970.</param>
    public static void Set(long time)
    {
        var value = stackalloc long[] { time / TimeSpan.TicksPerSecond, time % TimeSpan.TicksPerSecond * 100 };
        // SAFETY: a timespec is two 64-bit words.
        if (Libc.SetClock(Libc.CLOCK_REALTIME, value) != 0)
            throw AgentFailure.Of("cannot set the clock");
    }

    private static long Read(int clock)
    {
        var value = stackalloc long[2];
        // SAFETY: as in Set.
        _ = Libc.GetClock(clock, value);
        return (value[0] * TimeSpan.TicksPerSecond) + (value[1] / 100);
    }
}
