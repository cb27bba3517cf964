using System.Text.Json;
using NanoVms.Drivers;
using NanoVms.Drivers.CloudHypervisor;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;

namespace NanoVms.Tests.Drivers.CloudHypervisor;

public sealed class CloudHypervisorPlanTests
{
    [Fact]
    public void Build_IsThisCommandLine()
    {
        var command = CloudHypervisorArguments.Build("/usr/local/bin/cloud-hypervisor", "0123ab", "abcdefghijkl", 21);
        Assert.Equal(
            "--api-socket path=nanovms-0123ab-abcdefghijkl.sock --event-monitor fd=21 --seccomp true", string.Join(' ', command.Arguments));
        Assert.Contains(command.Arguments, a => a.StartsWith(CloudHypervisorArguments.Mark("0123ab"), StringComparison.Ordinal));
    }

    [Fact]
    public void Of_DisksByTheirSerials_AreWhatTheGuestIsTold()
    {
        var spec = new MachineSpec { Name = "test", Cpus = 2, MemoryMiB = 128, Layers = ["/l"], Drives = [new DriveSpec("my-data", "/d", ReadOnly: true)] };
        var lease = GuestLease.Create("bp0123ab-", Ipv4Prefix.Parse("10.77.0.0/16"), 2);
        var plan = CloudHypervisorPlan.Of(new MachinePlan("0123ab", "m", spec, new BootFiles("/k", "/i"), lease, "/m", "/m/disk", null, 1500), 2_000_000);
        var devices = new CloudHypervisorDriver(_ => throw new InvalidOperationException(), TimeProvider.System).Devices(spec);
        Assert.Equal([.. devices.Layers, devices.Disk!, devices.Drives["my-data"]], plan.Config.Disks!.Select(d => d.Serial));
        Assert.Equal([true, false, true], plan.Config.Disks!.Select(d => d.Readonly));
        // Never guessed from what a guest wrote (CVE-2026-27211).
        Assert.All(plan.Config.Disks!, disk => Assert.Equal(ImageType.Raw, disk.ImageType));
        Assert.Equal(128L << 20, plan.Config.Memory.Size);
        Assert.Empty(plan.Cards);
    }

    [Fact]
    public void Json_Config_LeavesOutWhatIsNotSet() => Assert.Equal(
        """{"payload":{"kernel":"k","cmdline":"c","initramfs":"i"},"cpus":{"boot_vcpus":1,"max_vcpus":1},"memory":{"size":1}}""",
        JsonSerializer.Serialize(
            new VmConfig(new PayloadConfig("k", "c", "i")) { Cpus = new CpusConfig(1, 1), Memory = new MemoryConfig(1) }, CloudHypervisorJson.Default.VmConfig));
}
