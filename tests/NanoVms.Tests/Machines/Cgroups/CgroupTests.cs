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

    [Theory]
    [InlineData(1, 0.1, "cpu.cfs_period_us=50000 cpu.cfs_quota_us=5000")]
    [InlineData(1, 0.01, "cpu.cfs_period_us=100000 cpu.cfs_quota_us=1000")]
    [InlineData(1, null, "cpu.cfs_period_us=50000 cpu.cfs_quota_us=-1")]
    [InlineData(2, 0.5, "cpu.max=25000 50000")]
    [InlineData(2, 0.001, "cpu.max=1000 100000")]
    [InlineData(2, null, "cpu.max=max 50000")]
    public void Cpu_Limit_IsWhatTheKernelWants(int version, double? limit, string expected) =>
        Assert.Equal(expected, string.Join(' ', CgroupLimits.Cpu(version, limit).Select(l => $"{l.File}={l.Content}")));
}
