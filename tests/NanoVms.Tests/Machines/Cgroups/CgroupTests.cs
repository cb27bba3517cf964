using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Machines;
using NanoVms.Machines.Cgroups;

namespace NanoVms.Tests.Machines.Cgroups;

public sealed class CgroupTests
{
    private const string Version1 = """
        30 29 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
        31 29 0:27 / /sys/fs/cgroup/memory rw,relatime shared:4 - cgroup cgroup rw,memory
        32 29 0:28 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
        33 29 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
        34 29 0:30 / / rw,relatime - ext4 /dev/vda rw
        """;

    private const string Version2 = "30 29 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";

    [Fact]
    public void Parse_Version1_FindsEachHierarchy()
    {
        var layout = CgroupLayout.Parse(Version1, _ => "");
        Assert.Equal(new CgroupRoot("/sys/fs/cgroup/memory", 1), layout.Roots["memory"]);
        Assert.Equal(new CgroupRoot("/sys/fs/cgroup/blkio", 1), layout.Roots["io"]);
        Assert.Equal(["pids"], layout.Missing);
    }

    [Fact]
    public void Parse_Version2_FindsTheControllersOfTheOneHierarchy()
    {
        var layout = CgroupLayout.Parse(Version2, _ => "cpuset cpu io memory pids\n");
        Assert.Empty(layout.Missing);
        Assert.Equal(new CgroupRoot("/sys/fs/cgroup", 2), Assert.Single(layout.Roots.Values.Distinct()));
    }

    [Fact]
    public void Writable_AnOrdinaryUsersLayout_IsWhatItWasGiven()
    {
        Assert.Empty(CgroupLayout.Parse(Version1, _ => "").Writable("", _ => false, _ => "").Roots);

        // Of version 2 the part beside the process's own group, with the controllers that are passed on to it.
        const string Given = "/sys/fs/cgroup/user.slice/user@1000.service/app.slice";
        var layout = CgroupLayout.Parse(Version2, _ => "cpu io memory pids\n").Writable(
            "0::/user.slice/user@1000.service/app.slice/mine.service\n", path => path.StartsWith(Given, StringComparison.Ordinal), path => path == Given ? "memory pids\n" : "cpu io memory pids\n");
        Assert.Equal(["cpu", "io"], layout.Missing);
        Assert.Equal(new CgroupRoot(Given, 2), Assert.Single(layout.Roots.Values.Distinct()));

        // What was not given with its processes is of no use: none can be moved in.
        Assert.Empty(CgroupLayout.Parse(Version2, _ => "memory\n").Writable("0::/a/b\n", path => path.EndsWith("/a", StringComparison.Ordinal), _ => "memory\n").Roots);
    }

    [Theory]
    [InlineData(1, 0.1, "cpu.cfs_period_us=50000 cpu.cfs_quota_us=5000")]
    [InlineData(1, 0.01, "cpu.cfs_period_us=100000 cpu.cfs_quota_us=1000")]
    [InlineData(1, null, "cpu.cfs_period_us=50000 cpu.cfs_quota_us=-1")]
    [InlineData(2, 0.5, "cpu.max=25000 50000")]
    [InlineData(2, 0.001, "cpu.max=1000 100000")]
    [InlineData(2, null, "cpu.max=max 50000")]
    public void Cpu_Limit_IsWhatTheKernelWants(int version, double? limit, string expected) =>
        Assert.Equal(expected, string.Join(' ', CgroupLimits.Cpu(version, limit).Select(l => $"{l.File}={l.Content}")));

    [Theory]
    [InlineData(1, 8, "cpu.shares=8192")]
    [InlineData(2, 1, "cpu.weight=100")]
    public void CpuWeight_OfEachVersion(int version, int weight, string expected) =>
        Assert.Equal(expected, string.Join(' ', CgroupLimits.CpuWeight(version, weight).Select(l => $"{l.File}={l.Content}")));

    [Theory]
    [InlineData(1, "blkio.throttle.read_bps_device=254:0 1000000|blkio.throttle.write_iops_device=254:0 50")]
    [InlineData(2, "io.max=254:0 rbps=1000000 wiops=50")]
    public void Io_Limits_AreWhatTheKernelWants(int version, string expected) =>
        Assert.Equal(expected, string.Join('|', CgroupLimits.Io(version, "254:0", new IoLimits(ReadBytes: 1_000_000, WriteOperations: 50)).Select(l => $"{l.File}={l.Content}")));

    [Theory]
    [InlineData("/data/x/disk", "253:1")]
    [InlineData("/data", "253:1")]
    [InlineData("/database", "254:0")]
    [InlineData("/with blank/f", "0:55")]
    public void DeviceOf_Path_IsThatOfTheDeepestMount(string path, string expected) => Assert.Equal(
        expected,
        BlockDevices.DeviceOf("27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:40 / /data rw - tmpfs x rw\n29 27 253:1 / /data rw - ext4 /dev/vdb1 rw\n30 27 0:55 / /with\\040blank rw - btrfs /dev/vdc rw\n", path));

    /// <summary>Version 2 as folders and files: the kernel's part, making the files of a new group, is done by hand.</summary>
    [Fact]
    public async Task MachineCgroup_Version2_IsDelegatedLimitedAndRemoved()
    {
        var root = Directory.CreateTempSubdirectory("cgroup2-").FullName;
        try
        {
            var layout = new CgroupLayout(new[] { "cpu", "memory", "pids", "io" }.ToDictionary(name => name, _ => new CgroupRoot(root, 2))) { Mounts = [root] };
            var group = new MachineCgroup(layout, "host01", "machine01", NullLogger.Instance);
            var folder = Directory.CreateDirectory(Path.Combine(root, "byteport/host01/machine01")).FullName;
            string[] files = ["memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max", "io.max", "cgroup.procs", "memory.events"];
            foreach (var file in files)
                await File.WriteAllTextAsync(Path.Combine(folder, file), "");

            group.Create(64 << 20);
            group.LimitCpu(0.5);
            group.LimitIo(new IoLimits(1 << 20, 2 << 20, 100, 200), [root]);
            group.Add(4711);

            foreach (var parent in new[] { root, Path.Combine(root, "byteport"), Path.Combine(root, "byteport/host01") })
                Assert.Equal(["+cpu", "+memory", "+pids", "+io"], (await File.ReadAllTextAsync(Path.Combine(parent, "cgroup.subtree_control"))).Split(' '));
            var disk = BlockDevices.DiskOf(root);
            string[] expected = [$"{64 << 20}", "0", "1", "512", "25000 50000", disk is null ? "" : $"{disk} rbps={1 << 20} wbps={2 << 20} riops=100 wiops=200", "4711"];
            Assert.Equal(expected, files[..^1].Select(file => File.ReadAllText(Path.Combine(folder, file))));
            Assert.False(group.RanOutOfMemory());
            await File.WriteAllTextAsync(Path.Combine(folder, "memory.events"), "low 0\noom 1\noom_kill 1\n");
            Assert.True(group.RanOutOfMemory());
            Assert.Equal(["machine01"], MachineCgroup.FindMachines(layout, "host01"));

            // The kernel's files go with a group; these do not by themselves.
            foreach (var file in Directory.GetFiles(folder))
                File.Delete(file);
            await group.RemoveAsync(TimeProvider.System, CancellationToken.None);
            Assert.False(Directory.Exists(folder));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }
}
