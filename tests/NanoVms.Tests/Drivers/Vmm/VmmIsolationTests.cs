using NanoVms.Commands;
using NanoVms.Drivers;
using NanoVms.Drivers.CloudHypervisor;
using NanoVms.Drivers.Firecracker;
using NanoVms.Machines;

namespace NanoVms.Tests.Drivers.Vmm;

/// <summary>Processes of both drivers that speak HTTP as the computer's kernel shows them: what a guest that takes one over would have.</summary>
public sealed class VmmIsolationTests
{
    private const string Firecracker = FirecrackerDriver.DriverName;
    private const string CloudHypervisor = CloudHypervisorDriver.DriverName;
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly string[] Spaces = ["user", "mnt", "net", "ipc", "uts", "pid"];

    [Theory]
    [InlineData(Firecracker)]
    [InlineData(CloudHypervisor)]
    public async Task Running_HasNothingButItsMachine(string kind)
    {
        await using var bed = await VmmTestBed.CreateAsync(kind);
        await bed.OpenBridgeAsync();
        var (plan, record) = await bed.PlanWithCardsAsync(kind, 2);
        var machine = await bed.StartAsync(Driver(kind, bed), plan, record);
        var process = $"/proc/{machine.Identity.Id}";

        AssertNoRights(process, plan.Lease.UserId);
        foreach (var space in Spaces)
            Assert.NotEqual(LinkOf($"/proc/self/ns/{space}"), LinkOf($"{process}/ns/{space}"));
        // An empty root, and its folder.
        var folder = Path.Combine(plan.Folder, "vm");
        Assert.Equal(["/", folder], MountsOf(process).Order(StringComparer.Ordinal));
        Assert.Contains(" / / ro,nosuid", (await File.ReadAllLinesAsync($"{process}/mountinfo", None))[0], StringComparison.Ordinal);
        var files = Directory.EnumerateFiles($"{process}/root", "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 });
        Assert.All(
            files.Select(path => new FileInfo(path)).Where(file => file.LinkTarget is null && !file.FullName.StartsWith($"{process}/root{folder}/", StringComparison.Ordinal)),
            file => Assert.Equal(0, file.Length));
        await AssertFilesAsync(process, plan, bed);
        // Its network is empty: the taps are in it no more.
        var links = await CommandRunner.RunCheckedAsync(new Command("nsenter", $"--net={process}/ns/net", "ip", "-oneline", "link"), None);
        Assert.StartsWith("1: lo: <LOOPBACK> ", Assert.Single(links.StandardOutput.Trim().Split('\n')), StringComparison.Ordinal);
        Assert.Empty(VmmTestBed.Violations(plan));
    }

    [Theory]
    [InlineData(Firecracker)]
    [InlineData(CloudHypervisor)]
    public async Task Cards_TwoOfThem_CarryFramesAndEndWithTheirMachine(string kind)
    {
        await using var bed = await VmmTestBed.CreateAsync(kind);
        await bed.OpenBridgeAsync();
        var driver = Driver(kind, bed);
        Assert.Empty(driver.FindErrors(new MachineSpec { Name = "two", Networks = [new NetworkCard("default"), new NetworkCard("back")] }));
        var (plan, record) = await bed.PlanWithCardsAsync(kind, 2);
        var machine = await bed.StartAsync(driver, plan, record);
        await AssertCardsAsync(plan);

        await machine.PauseAsync(None);
        var snapshot = Directory.CreateDirectory(Path.Combine(plan.Folder, "snapshot"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
        await machine.SaveAsync(snapshot, null, None);
        var (clonePlan, cloneRecord) = await bed.PlanWithCardsAsync(kind, 2, snapshot);
        var clone = await bed.StartAsync(driver, clonePlan, cloneRecord);
        await clone.LoadAsync(snapshot, None);
        await clone.ResumeAsync(None);
        await AssertCardsAsync(clonePlan);

        Assert.Empty(VmmTestBed.Violations(plan) + VmmTestBed.Violations(clonePlan));
        await machine.TerminateAsync();
        // Not by force, but as when it crashes.
        clone.Identity.Signal(9);
        _ = await clone.Ended.WaitAsync(TimeSpan.FromSeconds(5), None);
        foreach (var (ended, endedRecord) in new[] { (plan, record), (clonePlan, cloneRecord) })
        {
            foreach (var card in ended.Cards)
                Assert.False(Directory.Exists($"/sys/class/net/{card.Card.Port.Lease.Tap}"), card.Card.Port.Lease.Tap);
            await driver.RemoveAsync(ended.Folder, endedRecord, None);
        }
    }

    /// <summary>The host dies between lending and taking back, and the machine is killed by its successor.</summary>
    [Fact]
    public async Task Firecracker_KilledWithItsTapsLent_LeavesNone()
    {
        await using var bed = await VmmTestBed.CreateAsync(Firecracker);
        await bed.OpenBridgeAsync();
        var driver = Driver(Firecracker, bed);
        var (plan, record) = await bed.PlanWithCardsAsync(Firecracker, 1);
        using var errors = new ErrorTail();
        var process = await driver.LaunchAsync(plan, errors, None);
        plan.Cards[0].Tap!.Dispose();
        var tap = plan.Cards[0].Card.Port.Lease.Tap;
        Assert.False(Directory.Exists($"/sys/class/net/{tap}"), "it is in the hypervisor's network");

        await process.KillAsync(TimeProvider.System, None);
        await driver.RemoveAsync(plan.Folder, record, None);
        // The kernel takes a network apart a moment later.
        for (var tries = 0; Directory.Exists($"/sys/class/net/{tap}"); tries++)
        {
            Assert.True(tries < 100, "the tap came back");
            await Task.Delay(20, None);
        }

        Assert.False(File.Exists(Path.Combine(plan.Folder, "taps")));
    }

    [Fact]
    public async Task Firecracker_WithItsJailer_IsShutInByIt()
    {
        await using var bed = await VmmTestBed.CreateAsync(Firecracker);
        await bed.OpenBridgeAsync();
        var driver = new FirecrackerDriver(VmmTestBed.UsableKvm, TimeProvider.System, bed.Program, await bed.WriteJailerAsync(), bed.Needs);
        Assert.EndsWith("/jailer shuts it in.", (await driver.GetStatusAsync(None)).Reason, StringComparison.Ordinal);
        var (plan, record) = await bed.PlanWithCardsAsync(Firecracker, 2);
        var machine = await bed.StartAsync(driver, plan, record);
        var process = $"/proc/{machine.Identity.Id}";
        var root = Path.Combine(plan.Folder, "jail/firecracker", FirecrackerArguments.Id(plan.HostId, plan.MachineId), "root");

        AssertNoRights(process, plan.Lease.UserId);
        foreach (var space in Spaces.Except(["user"]))
            Assert.NotEqual(LinkOf($"/proc/self/ns/{space}"), LinkOf($"{process}/ns/{space}"));
        Assert.Equal(["/"], MountsOf(process));
        Assert.Equal(Directory.EnumerateFileSystemEntries(root).Select(Path.GetFileName).Order(), Directory.EnumerateFileSystemEntries($"{process}/root").Select(Path.GetFileName).Order());
        await AssertFilesAsync(process, plan, bed);
        await AssertCardsAsync(plan, root);

        // A host that comes back finds it there.
        await machine.PauseAsync(None);
        var again = bed.Keep(driver.Attach(plan.Folder, record, machine.Identity));
        Assert.Equal(MachineState.Paused, await again.ConnectAsync(None));
        var snapshot = Directory.CreateDirectory(Path.Combine(plan.Folder, "snapshot")).FullName;
        await again.SaveAsync(snapshot, null, None);
        Assert.True(File.Exists(Path.Combine(snapshot, "memory")));
        var violations = Path.Combine(root, FakeVmm.ViolationsFile);
        Assert.False(File.Exists(violations), File.Exists(violations) ? await File.ReadAllTextAsync(violations, None) : "");
        await machine.TerminateAsync();
        Assert.False(Directory.Exists($"/sys/class/net/{plan.Cards[1].Card.Port.Lease.Tap}"));
    }

    private static IMachineDriver Driver(string kind, VmmTestBed bed) => kind == Firecracker
        ? new FirecrackerDriver(VmmTestBed.UsableKvm, TimeProvider.System, bed.Program, "no-jailer", bed.Needs)
        : new CloudHypervisorDriver(VmmTestBed.UsableKvm, TimeProvider.System, bed.Program, bed.Needs);

    /// <summary>The guest has each card by its tap, in this order; the bridge has the taps, with their speed, and frames arrive.</summary>
    private static async Task AssertCardsAsync(MachinePlan plan, string? folder = null)
    {
        Assert.Equal(
            plan.Cards.Select(card => $"{card.Card.Name} {card.Card.Port.Lease.Tap}"),
            await File.ReadAllLinesAsync(Path.Combine(folder ?? Path.Combine(plan.Folder, "vm"), FakeCards.FileName), None));
        foreach (var port in plan.Cards.Select(card => card.Card.Port))
        {
            var device = $"/sys/class/net/{port.Lease.Tap}";
            Assert.EndsWith($"/{port.Bridge}", LinkOf($"{device}/master"), StringComparison.Ordinal);
            Assert.Equal("1", (await File.ReadAllTextAsync($"{device}/brport/isolated", None)).Trim());
            Assert.Equal("0", (await File.ReadAllTextAsync($"{device}/brport/unicast_flood", None)).Trim());
            Assert.Contains("qdisc tbf", (await CommandRunner.RunCheckedAsync(new Command("tc", "qdisc", "show", "dev", port.Lease.Tap), None)).StandardOutput, StringComparison.Ordinal);
            var before = await ReadFramesAsync(device);
            for (var tries = 0; await ReadFramesAsync(device) <= before; tries++)
            {
                Assert.True(tries < 100, $"no frame came from {port.Lease.Tap}");
                await Task.Delay(20, None);
            }
        }
    }

    private static async Task<long> ReadFramesAsync(string device) => long.Parse(await File.ReadAllTextAsync($"{device}/statistics/rx_packets", None));

    private static void AssertNoRights(string process, uint user)
    {
        foreach (var thread in Directory.EnumerateDirectories($"{process}/task"))
        {
            var status = File.ReadAllLines($"{thread}/status").Select(line => line.Split(':', 2)).ToDictionary(pair => pair[0], pair => pair[1].Trim());
            Assert.Equal($"{user}", Assert.Single(status["Uid"].Split('\t').Distinct()));
            Assert.Equal($"{user}", Assert.Single(status["Gid"].Split('\t').Distinct()));
            Assert.Equal("", status["Groups"]);
            foreach (var set in new[] { "CapInh", "CapPrm", "CapEff", "CapAmb" })
                Assert.Equal("0000000000000000", status[set]);
        }
    }

    /// <summary>Of the computer's files only the machine's own are open, and nothing that was not handed over.</summary>
    private static async Task AssertFilesAsync(string process, MachinePlan plan, VmmTestBed bed)
    {
        var allowed = new[] { plan.Folder, "/dev/null", "/dev/urandom", "/dev/net/tun", bed.DrivePath }.Concat(plan.Spec.Layers).Concat(bed.Needs).ToList();
        foreach (var link in Directory.EnumerateFileSystemEntries($"{process}/fd").Where(link => LinkOf(link).StartsWith('/')))
        {
            // What was taken away has its name within what was shown, which may be none; devices tell what they are.
            var kind = (await CommandRunner.RunCheckedAsync(new Command("stat", "-L", "-c", "%F %t:%T", link), None)).StandardOutput.Trim();
            Assert.True(
                kind is "character special file 1:3" or "character special file 1:9" or "character special file a:c8" || allowed.Any(path => LinkOf(link) == path || LinkOf(link).StartsWith($"{path}/", StringComparison.Ordinal) || File.Exists(path + LinkOf(link))),
                $"{LinkOf(link)} ({kind})");
        }

        Assert.Equal(plan.Cards.Count, Directory.EnumerateFileSystemEntries($"{process}/fd").Count(link => LinkOf(link).EndsWith("/tun", StringComparison.Ordinal)));
    }

    private static IEnumerable<string> MountsOf(string process) => File.ReadLines($"{process}/mountinfo").Select(line => line.Split(' ')[4]);

    private static string LinkOf(string path) => new FileInfo(path).LinkTarget ?? "";
}
