using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Guest;

/// <summary>What a container uses and may use: its control group as its namespace shows it, version 1 or 2. The rest of /proc is the host's.</summary>
internal static class ContainerGroup
{
    private const string Root = "/sys/fs/cgroup";
    private const long TicksPerMicrosecond = TimeSpan.TicksPerMillisecond / 1000;
    private const int NanosecondsPerTick = 100;

    /// <param name="disk">A descriptor on the root, whose writable layer is what is counted.</param>
    /// <param name="started">When the container did, by the kernel's uptime.</param>
    public static MachineStats Read(int disk, long started)
    {
        var isVersion2 = Files.Exists(Root + "/cgroup.procs");
        var (limit, used, details) = isVersion2
            ? ("/memory.max", "/memory.current", "/memory.stat")
            : ("/memory/memory.limit_in_bytes", "/memory/memory.usage_in_bytes", "/memory/memory.stat");
        // File pages that nobody used for a while are the kernel's to take back.
        var memory = Files.TryReadText(Root + details);
        var idle = Value(memory, isVersion2 ? "inactive_file" : "total_inactive_file");
        return Statistics.Read(disk) with
        {
            CpuTime = TimeSpan.FromTicks(isVersion2
                ? Value(Files.TryReadText(Root + "/cpu.stat"), "usage_usec") * TicksPerMicrosecond
                : Number(Root + "/cpuacct/cpuacct.usage") / NanosecondsPerTick),
            Uptime = TimeSpan.FromTicks(Clock.Uptime - started),
            MemoryTotal = Number(Root + limit),
            MemoryUsed = Math.Max(0, Number(Root + used) - idle),
            MemoryCached = Value(memory, isVersion2 ? "file" : "total_cache"),

            // The kernel has these for the whole computer alone, which is nobody's business in here.
            CpuWaiting = TimeSpan.Zero,
            CpuStolen = TimeSpan.Zero,
            DiskRead = 0,
            DiskWritten = 0,
            Load1 = 0,
            Load5 = 0,
            Load15 = 0,
        };
    }

    /// <summary>Text with a line <c>oom_kill N</c>; empty in a guest with a kernel of its own.</summary>
    public static string TryReadKills() => Files.TryReadText(Root + "/memory.events", 1024) is { Length: > 0 } version2
        ? version2
        : Files.TryReadText(Root + "/memory/memory.oom_control", 1024);

    /// <summary>The number in the line that starts with the key; 0 when there is none.</summary>
    public static long Value(string text, string key)
    {
        foreach (var line in text.Split('\n'))
        {
            if (line.StartsWith(key, StringComparison.Ordinal) && line.Length > key.Length && line[key.Length] == ' ' && long.TryParse(line.AsSpan(key.Length + 1), out var value))
                return value;
        }

        return 0;
    }

    private static long Number(string path) => long.TryParse(Files.TryReadText(path, 64).Trim(), out var value) && value > 0 ? value : 0;
}
