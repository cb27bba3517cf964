using NanoVms.Commands;
using NanoVms.Drivers;
using NanoVms.Drivers.Firecracker;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;

namespace NanoVms.Tests.Drivers.Firecracker;

public sealed class FirecrackerArgumentsTests
{
    private static readonly JailerLaunch Jail = new("/usr/local/bin/firecracker", "0123ab", "abcdefghijkl", 1_900_000_002, "/var/lib/byteport/jail");

    private static readonly MachineSpec Spec = new()
    {
        Name = "test",
        MemoryMiB = 128,
        Layers = ["/layers/stack.erofs", "/layers/app.erofs"],
        Drives = [new DriveSpec("my-data", "/data/volume.raw", ReadOnly: false)],
    };

    [Fact]
    public void Build_Direct_IsThisCommandLine()
    {
        var command = FirecrackerArguments.Build("/usr/local/bin/firecracker", "0123ab", "abcdefghijkl");
        Assert.Equal("/usr/local/bin/firecracker --id nanovms-0123ab-abcdefghijkl --api-sock api.sock --level Error", Line(command));
        Assert.Contains(command.Arguments, a => a.StartsWith(FirecrackerArguments.Mark("0123ab"), StringComparison.Ordinal));
    }

    [Fact]
    public void Build_Jailed_IsThisCommandLine() => Assert.Equal(
        "jailer --id nanovms-0123ab-abcdefghijkl --exec-file /usr/local/bin/firecracker --uid 1900000002 --gid 1900000002 "
        + "--chroot-base-dir /var/lib/byteport/jail --resource-limit no-file=2048 -- --api-sock api.sock --level Error",
        Line(JailerArguments.Build("jailer", Jail)));

    [Fact]
    public void RootOf_Jail_IsWhereTheJailerMakesIt() => Assert.Equal(
        "/var/lib/byteport/jail/firecracker/nanovms-0123ab-abcdefghijkl/root", JailerArguments.RootOf(Jail));

    [Fact]
    public void Devices_AreInTheOrderOfTheirDescription()
    {
        var driver = new FirecrackerDriver(_ => throw new InvalidOperationException(), TimeProvider.System);
        var devices = driver.Devices(Spec);
        Assert.Equal(["/dev/vda", "/dev/vdb"], devices.Layers);
        Assert.Equal("/dev/vdc", devices.Disk);
        Assert.Equal("/dev/vdd", devices.Drives["my-data"]);

        var lease = GuestLease.Create("bp0123ab-", Ipv4Prefix.Parse("10.77.0.0/16"), 2);
        var plan = FirecrackerPlan.Of(
            new MachinePlan("0123ab", "m", Spec, new BootFiles("/k", "/i"), lease, "/m", "/m/disk", null, 1500), tscKilohertz: 2_000_000);
        Assert.Equal(["layer0", "layer1", "disk", "drive0"], plan.Drives.Select(d => d.PathOnHost));
        Assert.Equal([true, true, false, false], plan.Drives.Select(d => d.IsReadOnly));
        // Only what must survive the machine is flushed.
        Assert.Equal(CacheType.Writeback, plan.Drives[3].CacheType);
        Assert.Empty(plan.Networks);
    }

    [Fact]
    public void FindErrors_TooMuch_NamesValueAndLimit()
    {
        var driver = new FirecrackerDriver(_ => throw new InvalidOperationException(), TimeProvider.System);
        Assert.Empty(driver.FindErrors(Spec));
        var errors = driver.FindErrors(Spec with { Cpus = 33, Layers = [.. Enumerable.Repeat("/l", 12)] }).ToList();
        Assert.Equal(2, errors.Count);
        Assert.Contains("12 layers, 1 drives and 0 further networks", errors[0], StringComparison.Ordinal);
        Assert.Contains("Cpus is 33", errors[1], StringComparison.Ordinal);
    }

    private static string Line(Command command) => string.Join(' ', command.Arguments.Prepend(command.Program));
}
