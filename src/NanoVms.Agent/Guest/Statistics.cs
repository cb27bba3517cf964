using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Guest;

/// <summary>What the guest uses, read from its kernel.</summary>
internal static unsafe class Statistics
{
    // USER_HZ, fixed for programs whatever the kernel ticks at.
    private const long TicksPerJiffy = TimeSpan.TicksPerSecond / 100;

    /// <param name="disk">A descriptor on the writable disk, or -1.</param>
    public static MachineStats Read(int disk)
    {
        var memory = Files.TryReadText("/proc/meminfo");
        var total = Kilobytes(memory, "MemTotal:");
        var (diskUsed, diskTotal) = Disk(disk);
        var (received, sent) = Network();
        return new MachineStats
        {
            CpuTime = TimeSpan.FromTicks(CpuJiffies() * TicksPerJiffy),
            Uptime = TimeSpan.FromTicks(Clock.Uptime),
            MemoryTotal = total,
            MemoryUsed = Math.Max(0, total - Kilobytes(memory, "MemAvailable:")),
            DiskUsed = diskUsed,
            DiskTotal = diskTotal,
            NetworkReceived = received,
            NetworkSent = sent,
        };
    }

    private static long CpuJiffies()
    {
        // "cpu user nice system idle iowait irq softirq steal …"
        var text = Files.TryReadText("/proc/stat", 4096);
        var fields = text[..Math.Max(0, text.IndexOf('\n'))].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var sum = 0L;
        for (var i = 1; i < Math.Min(fields.Length, 8); i++)
            sum += i is 4 or 5 ? 0 : Number(fields[i]);
        return sum;
    }

    private static long Kilobytes(string text, string key)
    {
        var at = text.IndexOf(key, StringComparison.Ordinal);
        return at < 0 ? 0 : Number(text[(at + key.Length)..].TrimStart().Split(' ', 2)[0]) * 1024;
    }

    private static (long Used, long Total) Disk(int fd)
    {
        // struct statfs: type, block size, blocks, free, available, …
        var info = stackalloc long[15];
        // SAFETY: the structure is 120 bytes.
        return fd >= 0 && Libc.StatFileSystem(fd, info) == 0 ? ((info[2] - info[3]) * info[1], info[2] * info[1]) : (0, 0);
    }

    private static (long Received, long Sent) Network()
    {
        var (received, sent) = (0L, 0L);
        foreach (var line in Files.TryReadText("/proc/net/dev").Split('\n'))
        {
            var colon = line.IndexOf(':');
            if (colon < 0 || line.AsSpan(0, colon).Trim() is "lo")
                continue;
            var fields = line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < 9)
                continue;
            received += Number(fields[0]);
            sent += Number(fields[8]);
        }

        return (received, sent);
    }

    private static long Number(string text) => long.TryParse(text, out var number) && number > 0 ? number : 0;
}
