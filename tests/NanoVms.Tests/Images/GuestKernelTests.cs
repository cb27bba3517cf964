using System.Diagnostics;
using System.Text;
using NanoVms.Images;

namespace NanoVms.Tests.Images;

public sealed class GuestKernelTests
{
    [Fact]
    public async Task PrepareAsync_DebianKernel_IsElfWithModulesInOrder()
    {
        var kernel = await GuestKernel.PrepareDistributionAsync(ImageStore.DefaultFolder, null, TestContext.Current.CancellationToken);
        await using var file = File.OpenRead(kernel.VmlinuxPath);
        var magic = new byte[4];
        await file.ReadExactlyAsync(magic, TestContext.Current.CancellationToken);
        Assert.Equal([0x7F, (byte)'E', (byte)'L', (byte)'F'], magic);
        var order = await File.ReadAllLinesAsync(Path.Combine(kernel.ModulesDirectory, "order"), TestContext.Current.CancellationToken);
        var names = order.Select(line => line.Split(' ')[1]).ToList();
        Assert.Equal(names.Count, names.Distinct().Count());
        Assert.True(names.IndexOf("virtio_ring.ko") < names.IndexOf("virtio.ko"));
        Assert.True(names.IndexOf("libcrc32c.ko") < names.IndexOf("erofs.ko"));
        Assert.Contains("network virtio_net.ko", order);
        Assert.All(names, name => Assert.True(File.Exists(Path.Combine(kernel.ModulesDirectory, name))));
        Assert.EndsWith("-amd64", kernel.Release, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PrepareAsync_Twice_IsTheSameAndFast()
    {
        var first = await GuestKernel.PrepareAsync(ImageStore.DefaultFolder, null, TestContext.Current.CancellationToken);
        var watch = Stopwatch.StartNew();
        Assert.Equal(first, await GuestKernel.PrepareAsync(ImageStore.DefaultFolder, null, TestContext.Current.CancellationToken));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void CommandLine_Tcg_IsAsMeasured() => Assert.Equal(
        "panic=-1 reboot=t quiet tsc_early_khz=2300000 tsc=reliable cryptomgr.notests no_timer_check i8042.noaux i8042.nokbd mitigations=off noreplace-smp console=ttyS0",
        GuestKernel.CommandLine(2_300_000, hardware: false, console: true));

    [Fact]
    public void CommandLine_Hardware_KeepsMitigations() =>
        Assert.DoesNotContain("mitigations", GuestKernel.CommandLine(2_300_000, hardware: true), StringComparison.Ordinal);

    [Fact]
    public void GetKilohertz_Twice_IsSaneAndKept()
    {
        var rate = TimeStampCounter.GetKilohertz();
        Assert.InRange(rate, 500_000, 10_000_000);
        Assert.Equal(rate, TimeStampCounter.GetKilohertz());
    }

    [Theory]
    [InlineData("\0depends=virtio,virtio-ring\0name=x\0", new[] { "virtio", "virtio_ring" })]
    [InlineData("\0depends=\0name=x\0", new string[0])]
    [InlineData("nothing", new string[0])]
    public void DependenciesOf_ModuleInformation_IsRead(string information, string[] expected) =>
        Assert.Equal(expected, GuestKernelModules.DependenciesOf(Encoding.ASCII.GetBytes(information)));
}
