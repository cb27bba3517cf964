using NanoVms.Agent.Interop;
using NanoVms.Agent.Processes;
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
        var network = Network();
        var cpu = Cpu();
        var (read, written) = DiskTraffic();
        var load = Files.TryReadText("/proc/loadavg", 128).Split(' ');
        return new MachineStats
        {
            // User, nice, system, and both kinds of interrupts.
            CpuTime = TimeSpan.FromTicks((cpu[0] + cpu[1] + cpu[2] + cpu[5] + cpu[6]) * TicksPerJiffy),
            CpuWaiting = TimeSpan.FromTicks(cpu[4] * TicksPerJiffy),
            CpuStolen = TimeSpan.FromTicks(cpu[7] * TicksPerJiffy),
            Uptime = TimeSpan.FromTicks(Clock.Uptime),
            MemoryTotal = total,
            MemoryUsed = Math.Max(0, total - Kilobytes(memory, "MemAvailable:")),
            MemoryCached = Kilobytes(memory, "\nCached:") + Kilobytes(memory, "Buffers:"),
            DiskUsed = diskUsed,
            DiskTotal = diskTotal,
            DiskRead = read,
            DiskWritten = written,
            NetworkReceived = network[0],
            PacketsReceived = network[1],
            PacketsLost = network[2] + network[3] + network[10] + network[11],
            NetworkSent = network[8],
            PacketsSent = network[9],
            Load1 = Load(load, 0),
            Load5 = Load(load, 1),
            Load15 = Load(load, 2),
            Processors = Environment.ProcessorCount,
            Processes = Processes(),
            OutOfMemoryKills = ExitReport.OutOfMemoryKills(),
        };
    }

    /// <summary>"cpu user nice system idle iowait irq softirq steal …", in jiffies.</summary>
    private static long[] Cpu()
    {
        var text = Files.TryReadText("/proc/stat", 4096);
        var fields = text[..Math.Max(0, text.IndexOf('\n'))].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var values = new long[8];
        for (var i = 0; i < values.Length && i + 1 < fields.Length; i++)
            values[i] = Number(fields[i + 1]);
        return values;
    }

    /// <summary>"0.12 …": hundredths without a floating point parser.</summary>
    private static double Load(string[] fields, int index) =>
        index < fields.Length ? Number(fields[index].Replace(".", "", StringComparison.Ordinal)) / 100.0 : 0;

    private static (long Read, long Written) DiskTraffic()
    {
        const int Sector = 512;
        var (read, written) = (0L, 0L);
        foreach (var name in Files.List("/sys/block"))
        {
            // "reads merged sectors time writes merged sectors …". Whatever lies on another disk would count twice.
            if (name.StartsWith("loop", StringComparison.Ordinal) || name.StartsWith("dm-", StringComparison.Ordinal) || name.StartsWith("ram", StringComparison.Ordinal))
                continue;
            var fields = Files.TryReadText($"/sys/block/{name}/stat", 512).Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < 7)
                continue;
            read += Number(fields[2]) * Sector;
            written += Number(fields[6]) * Sector;
        }

        return (read, written);
    }

    private static long Processes()
    {
        var count = 0L;
        foreach (var name in Files.List("/proc"))
            count += char.IsAsciiDigit(name[0]) ? 1 : 0;
        // The kernel's threads are the children of the second process; a container sees none.
        if (Files.TryReadText("/proc/2/comm", 16).TrimEnd() != "kthreadd")
            return count;
        foreach (var c in Files.TryReadText("/proc/2/task/2/children"))
            count -= c == ' ' ? 1 : 0;
        return Math.Max(1, count - 1);
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

    /// <summary>Of all cards but loopback: bytes, packets, errors, drops …, from the ninth the same of what was sent.</summary>
    private static long[] Network()
    {
        var sums = new long[16];
        foreach (var line in Files.TryReadText("/proc/net/dev").Split('\n'))
        {
            var colon = line.IndexOf(':');
            if (colon < 0 || line.AsSpan(0, colon).Trim() is "lo")
                continue;
            var fields = line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            for (var i = 0; i < Math.Min(fields.Length, sums.Length); i++)
                sums[i] += Number(fields[i]);
        }

        return sums;
    }

    private static long Number(string text) => long.TryParse(text, out var number) && number > 0 ? number : 0;
}
