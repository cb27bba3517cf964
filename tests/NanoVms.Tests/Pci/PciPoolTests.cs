using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Machines;
using NanoVms.Pci;

namespace NanoVms.Tests.Pci;

public sealed class PciPoolTests : IDisposable
{
    private const string Gpu = "0000:01:00.0";
    private const string GpuAudio = "0000:01:00.1";
    private const string Card = "0000:02:00.0";
    private const string Disk = "0000:03:00.0";
    private const uint User = 1_900_000_007;
    private readonly FakeSysfs _computer = new();
    private readonly PciPool _pool;

    public PciPoolTests()
    {
        _computer.Add("0000:00:00.0", "060000", "8086:29c0", null, 0);
        _computer.Add("0000:00:01.0", "060400", "8086:1901", "pcieport", 1);
        _computer.Add(Gpu, "030000", "10de:1eb8", "nouveau", 1);
        _computer.Add(GpuAudio, "040300", "10de:10f8", "snd_hda_intel", 1);
        _computer.Add(Card, "020000", "8086:10fb", "ixgbe", 2);
        _computer.Add(Disk, "010802", "144d:a808", null, 3);
        _pool = new PciPool(_computer.Bus, _computer.DeviceFolder, () => ["/dev/nvme0n1p1 /home ext4 rw 0 0"], NullLogger.Instance);
    }

    public void Dispose() => _computer.Dispose();

    [Fact]
    public void List_Devices_HaveWhatSysfsSays()
    {
        var devices = _pool.List();

        Assert.Equal(6, devices.Count);
        var gpu = devices.Single(device => device.Address == Gpu);
        Assert.Equal(("030000", "10de", "1eb8", "nouveau", 1), (gpu.Class, gpu.Vendor, gpu.Device, gpu.Driver, gpu.IommuGroup));
        Assert.Contains("VGA", gpu.ClassName, StringComparison.Ordinal);
        Assert.Empty(new PciBus("/nonexistent", (_, _) => { }).List());
    }

    [Fact]
    public void Lend_WholeGroup_GoesToVfioAndBack()
    {
        var loans = _pool.Reserve("m1", Spec([Gpu, GpuAudio]));
        Assert.Equal([new PciLoan(Gpu, "nouveau", 1), new PciLoan(GpuAudio, "snd_hda_intel", 1)], loans);
        Assert.Empty(_computer.Written);
        Assert.Equal("m1", _pool.HolderOf(Gpu));

        _pool.Lend("a", loans, User);
        Assert.Equal(("vfio-pci", "vfio-pci", "pcieport"), (_computer.DriverOf(Gpu), _computer.DriverOf(GpuAudio), _computer.DriverOf("0000:00:01.0")));
        Assert.Equal(
            ["bus/pci/devices/0000:01:00.0/driver_override vfio-pci", "bus/pci/drivers/nouveau/unbind 0000:01:00.0", "bus/pci/drivers_probe 0000:01:00.0"],
            _computer.Written.Take(3));

        Refuses([Gpu, GpuAudio], "0000:01:00.0 (VGA compatible controller) is machine m1's.");
        _pool.TakeBack("m1", loans);
        _pool.TakeBack("m1", loans);
        Assert.Equal(("nouveau", "snd_hda_intel"), (_computer.DriverOf(Gpu), _computer.DriverOf(GpuAudio)));
        Assert.Null(_pool.HolderOf(Gpu));
        Assert.Equal("(null)", File.ReadAllText(Path.Combine(_computer.FolderOf(Gpu), "driver_override")).Trim());
    }

    /// <summary>As a host does at its start after a crash at any step: all it has is what was written down.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void TakeBack_AfterACrashAtAnyStep_RestoresTheDriver(int steps)
    {
        var loans = _pool.Reserve("m1", Spec([Card]));
        Action[] done =
        [
            () => File.WriteAllText(Path.Combine(_computer.FolderOf(Card), "driver_override"), "vfio-pci"),
            () => File.Delete(Path.Combine(_computer.FolderOf(Card), "driver")),
            () => _computer.Bus.Bind(Card, "vfio-pci"),
            () => _pool.Lend("a", loans, User),
        ];
        foreach (var step in done.Take(steps))
            step();

        var next = new PciPool(_computer.Bus, _computer.DeviceFolder, () => [], NullLogger.Instance);
        next.TakeBack("m1", loans);

        Assert.Equal("ixgbe", _computer.DriverOf(Card));
        Assert.Single(next.Reserve("m2", Spec([Card])));
    }

    [Fact]
    public void Reserve_Kind_IsAllOfIt()
    {
        _computer.Add("0000:04:00.0", "020000", "8086:10fb", "ixgbe", 4);
        Assert.Equal([Card, "0000:04:00.0"], _pool.Reserve("m1", Spec([], "ethernet")).Select(loan => loan.Address));
        Assert.Equal([Disk], _pool.Reserve("m2", Spec([], "144d:a808", "0108")).Select(loan => loan.Address));
        // One of the kind is another's: not all can be had.
        Refuses([], "0000:02:00.0 (Ethernet controller) is machine m1's.", "8086:10fb");
        Refuses([], "There is no PCI device of the kind 'usb'.", "usb");
        Refuses([], "There is no PCI device of the kind '06'.", "06");
    }

    [Fact]
    public void Reserve_WhatCannotBeHad_SaysWhyAndKeepsNothing()
    {
        Refuses(["0000:09:00.0"], "There is no PCI device 0000:09:00.0.");
        Refuses([Gpu], "0000:01:00.0 (VGA compatible controller) is in IOMMU group 1 with 0000:01:00.1 (Audio device); a group is assigned as a whole, so name them too.");
        Refuses(["0000:00:01.0"], "0000:00:01.0 (PCI bridge) is a bridge of the computer, which no machine can have.");
        _computer.Add("0000:05:00.0", "0c0330", "8086:a36d", "xhci_hcd", null);
        Refuses(["0000:05:00.0"], "has no IOMMU group: this computer has no IOMMU, or it is off. Turn it on in the firmware (VT-d, AMD-Vi) and boot Linux with intel_iommu=on or amd_iommu=on.");
        _ = Directory.CreateDirectory(Path.Combine(_computer.FolderOf(Disk), "nvme/nvme0/block/nvme0n1"));
        Refuses([Disk], "is in use: it has the disk nvme0n1, which is mounted at /home.");
        _ = Directory.CreateDirectory(Path.Combine(_computer.FolderOf(Card), "net/eth7"));
        File.WriteAllText(Path.Combine(_computer.FolderOf(Card), "net/eth7/operstate"), "up\n");
        Refuses([Card], "is in use: it has the network card eth7, which is up.");
        File.WriteAllText(Path.Combine(_computer.FolderOf(Card), "net/eth7/operstate"), "down\n");
        Assert.Single(_pool.Reserve("m1", Spec([Card])));
        Assert.Empty(_computer.Written);
    }

    [Fact]
    public void Lend_KernelRefuses_SaysWhatAndGoesBack()
    {
        var loans = _pool.Reserve("m1", Spec([Card]));
        _computer.Refused = "drivers_probe";
        var refused = Assert.Throws<MachineException>(() => _pool.Lend("a", loans, User));
        Assert.Contains("a PCI device cannot be given to it: ", refused.Message, StringComparison.Ordinal);
        Assert.Contains("busy", refused.Message, StringComparison.Ordinal);

        _computer.Refused = null;
        _pool.TakeBack("m1", loans);
        Assert.Equal("ixgbe", _computer.DriverOf(Card));
    }

    [Fact]
    public void Read_PciIds_NamesClassesVendorsAndDevices()
    {
        var names = new PciNames();
        names.Read(new StringReader("# comment\n10de  NVIDIA Corporation\n\t1eb8  TU104GL [Tesla T4]\n\t\t10de 12a2  T4\n8086  Intel\nC 03  Display controller\n\t00  VGA thing\n\t\t00  VGA controller\n"));
        Assert.Equal("NVIDIA Corporation TU104GL [Tesla T4]", names.NameOf("10de", "1eb8"));
        Assert.Equal("Intel", names.NameOf("8086", "ffff"));
        Assert.Null(names.NameOf("ffff", "0000"));
        Assert.Equal(("VGA thing", "Display controller", "Ethernet controller", "Class 7f12"), (names.ClassOf("030000"), names.ClassOf("038000"), names.ClassOf("020000"), names.ClassOf("7f1200")));
    }

    private static MachineSpec Spec(IReadOnlyList<string> devices, params string[] kinds) => new() { Name = "a", PciDevices = devices, PciKinds = kinds };

    private void Refuses(IReadOnlyList<string> devices, string reason, params string[] kinds)
    {
        var refused = Assert.Throws<MachineException>(() => _pool.Reserve("other", Spec(devices, kinds)));
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(_pool.List(), device => _pool.HolderOf(device.Address) == "other");
    }
}
