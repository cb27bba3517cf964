using NanoVms.Drivers;
using NanoVms.Drivers.Qemu;
using NanoVms.Machines;

namespace NanoVms.Tests.Drivers.Qemu;

public sealed class QemuArgumentsTests
{
    private static readonly QemuLaunch Launch = new()
    {
        HostId = "123456",
        MachineId = "abc",
        Cpus = 1,
        MemoryMiB = 128,
        KernelPath = "/proc/self/fd/20",
        InitramfsPath = "/proc/self/fd/21",
        CommandLine = "quiet panic=-1",
        Accelerated = false,
        Disks = [new QemuDisk("layer0", 24, ReadOnly: true, IsEphemeral: false), new QemuDisk("disk", 25, false, true), new QemuDisk("d-data", 26, false, false)],
        MemoryFile = 28,
        AgentFile = 22,
        MonitorFile = 23,
        Cards = [QemuCard.Of(27, "02:42:0a:4d:00:02")],
        Mtu = 1400,
    };

    [Fact]
    public void Build_IoLimits_AreThoseOfAllDisksThatAreWritten()
    {
        var line = string.Join(' ', QemuArguments.Build(Launch with { Io = new IoLimits(ReadBytes: 1 << 20, WriteOperations: 100) }));
        Assert.Contains("""-object {"qom-type":"throttle-group","id":"io","limits":{"bps-read":1048576,"iops-write":100}}""", line, StringComparison.Ordinal);
        Assert.Contains("drive=disk0,serial=layer0", line, StringComparison.Ordinal);
        foreach (var disk in new[] { "disk1", "disk2" })
            Assert.Contains($"-blockdev driver=throttle,node-name={disk}-io,throttle-group=io,file={disk},discard=unmap -device virtio-blk-device,drive={disk}-io,", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Build_Emulated_IsThisCommandLine() => Assert.Equal(
        """
        -name guest=123456.abc,process=nanovms-abc
        -object memory-backend-file,id=memory,size=128M,share=on,mem-path=/proc/self/fd/28
        -M microvm,rtc=on,pcie=off,x-option-roms=off,dump-guest-core=off,pit=off,pic=off,memory-backend=memory
        -accel tcg,thread=single,tb-size=32
        -cpu EPYC-v1,svm=off
        -m 128
        -smp 1
        -nodefaults -no-user-config
        -display none
        -action reboot=shutdown,shutdown=pause,panic=pause
        -kernel /proc/self/fd/20
        -initrd /proc/self/fd/21
        -append quiet panic=-1
        -global migration.send-configuration=off
        -chardev ringbuf,id=console,size=65536
        -serial chardev:console
        -chardev socket,id=monitor,fd=23,server=on,wait=off
        -mon chardev=monitor,mode=control
        -chardev socket,id=agent,fd=22,server=on,wait=off
        -device virtio-serial-device,max_ports=2
        -device virtserialport,chardev=agent,name=nanovms.agent
        -object rng-builtin,id=random
        -device virtio-rng-device,rng=random
        -device virtio-balloon-device,free-page-reporting=on,deflate-on-oom=on
        -add-fd fd=24,set=1,opaque=readonly
        -blockdev driver=raw,node-name=disk0,read-only=on,file.driver=file,file.filename=/dev/fdset/1,file.locking=off
        -device virtio-blk-device,drive=disk0,serial=layer0
        -add-fd fd=25,set=2,opaque=writable
        -blockdev driver=raw,node-name=disk1,cache.no-flush=on,discard=unmap,detect-zeroes=unmap,file.driver=file,file.filename=/dev/fdset/2
        -device virtio-blk-device,drive=disk1,serial=disk
        -add-fd fd=26,set=3,opaque=writable
        -blockdev driver=raw,node-name=disk2,discard=unmap,detect-zeroes=unmap,file.driver=file,file.filename=/dev/fdset/3
        -device virtio-blk-device,drive=disk2,serial=d-data
        -netdev tap,id=net,fd=27
        -device virtio-net-device,netdev=net,mac=02:42:0a:4d:00:02,host_mtu=1400
        -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
        """.ReplaceLineEndings(" "),
        string.Join(' ', QemuArguments.Build(Launch)));

    [Fact]
    public void Build_Accelerated_TakesTheComputersProcessor()
    {
        var arguments = string.Join(' ', QemuArguments.Build(Launch with { Accelerated = true, Cards = [] }));
        Assert.Contains("-accel kvm -cpu host,vmx=off,svm=off ", arguments, StringComparison.Ordinal);
        Assert.DoesNotContain("netdev", arguments, StringComparison.Ordinal);
    }

    [Fact]
    public void Build_Pc_HasItsDevicesOnThePciBus()
    {
        var arguments = string.Join(' ', QemuArguments.Build(Launch with { IsPc = true }));
        Assert.Contains("-M q35,usb=off,smbus=off,sata=off,vmport=off,dump-guest-core=off,memory-backend=memory -accel tcg", arguments, StringComparison.Ordinal);
        Assert.Contains("-device virtio-net-pci-non-transitional,netdev=net,mac=02:42:0a:4d:00:02,host_mtu=1400,romfile= ", arguments, StringComparison.Ordinal);
        foreach (var kind in (ReadOnlySpan<string>)["serial", "rng", "balloon", "blk"])
            Assert.Contains($"-device virtio-{kind}-pci-non-transitional,", arguments, StringComparison.Ordinal);
        Assert.DoesNotContain("-device,", arguments, StringComparison.Ordinal);
    }

    [Fact]
    public void Build_TooManyDisks_IsRefused() => Assert.Throws<ArgumentOutOfRangeException>(
        () => QemuArguments.Build(Launch with { Disks = [.. Enumerable.Repeat(Launch.Disks[0], QemuArguments.MaxDisks + 1)] }));

    [Theory]
    [InlineData(64, 32)]
    [InlineData(512, 128)]
    [InlineData(8192, 256)]
    public void TranslationMiB_FollowsMemory_WithinBounds(int memory, int expected) =>
        Assert.Equal(expected, QemuArguments.TranslationMiB(memory));

    [Fact]
    public void Tail_HostileConsole_IsPlainText() => Assert.Equal(
        "one\n[31mtwo\tthree", ConsoleText.Tail("\0one\r\n\n\u001b[31mtwo\tthree\u0007"u8));
}
