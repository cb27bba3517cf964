using System.Globalization;

namespace NanoVms.Machines.Cgroups;

/// <summary>Writes limits as the kernel's files want them. Pure.</summary>
internal static class CgroupLimits
{
    private const int ShortPeriod = 50_000;
    private const int LongPeriod = 100_000;
    private const int MinQuota = 1_000;

    /// <summary>File name and content, in the order in which they are to be written.</summary>
    public static IEnumerable<(string File, string Content)> Memory(int version, long bytes) => version == 2
        ? [("memory.max", Text(bytes)), ("memory.swap.max", "0"), ("memory.oom.group", "1")]
        : [("memory.limit_in_bytes", Text(bytes)), ("memory.memsw.limit_in_bytes", Text(bytes))];

    public static IEnumerable<(string File, string Content)> Pids(int count) => [("pids.max", Text(count))];

    /// <summary>Null lifts the limit.</summary>
    /// <param name="cpus">Host processors' worth of time.</param>
    public static IEnumerable<(string File, string Content)> Cpu(int version, double? cpus)
    {
        // A shorter period makes shorter pauses for an app that used its share; the kernel takes no quota below 1 ms.
        var period = cpus * ShortPeriod < MinQuota ? LongPeriod : ShortPeriod;
        var quota = cpus is { } limit ? Text(Math.Max(MinQuota, (long)(limit * period))) : null;
        return version == 2
            ? [("cpu.max", $"{quota ?? "max"} {Text(period)}")]
            : [("cpu.cfs_period_us", Text(period)), ("cpu.cfs_quota_us", quota ?? "-1")];
    }

    /// <summary>The part of busy processors, in parts of what others have.</summary>
    public static IEnumerable<(string File, string Content)> CpuWeight(int version, int weight) =>
        version == 2 ? [("cpu.weight", Text(100 * weight))] : [("cpu.shares", Text(1024 * weight))];

    /// <param name="device">Of a whole disk, as <c>254:0</c>.</param>
    public static IEnumerable<(string File, string Content)> Io(int version, string device, IoLimits limits)
    {
        (string Name, string OldFile, long? Value)[] all =
        [
            ("rbps", "blkio.throttle.read_bps_device", limits.ReadBytes), ("wbps", "blkio.throttle.write_bps_device", limits.WriteBytes),
            ("riops", "blkio.throttle.read_iops_device", limits.ReadOperations), ("wiops", "blkio.throttle.write_iops_device", limits.WriteOperations),
        ];
        var set = all.Where(limit => limit.Value is not null).ToList();
        if (version != 2)
            return set.Select(limit => (limit.OldFile, $"{device} {Text(limit.Value!.Value)}"));
        return set.Count == 0 ? [] : [("io.max", $"{device} {string.Join(' ', set.Select(limit => $"{limit.Name}={Text(limit.Value!.Value)}"))}")];
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
