using NanoVms.Commands;
using NanoVms.Machines;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Drivers.Qemu;

/// <summary>A machine's QEMU as the computer's kernel shows it: what a guest that takes it over would have.</summary>
[Collection(nameof(MachineHostTests))]
public sealed class QemuIsolationTests
{
    private static readonly string[] Spaces = ["user", "mnt", "net", "ipc", "uts", "pid"];

    [Fact]
    public async Task Qemu_OfARunningMachine_HasNothingButItsMachine()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync("exec sleep 1000", spec => spec with { Io = new IoLimits(ReadBytes: 50 << 20, WriteOperations: 1000) });
        var process = $"/proc/{Assert.Single(test.Processes()).Split('/')[^1]}";

        AssertRights(process);
        foreach (var space in Spaces)
            Assert.NotEqual(LinkOf($"/proc/self/ns/{space}"), LinkOf($"{process}/ns/{space}"));
        var other = await test.StartAsync(null);
        var beside = test.Processes().Single(path => path != process);
        foreach (var space in Spaces)
            Assert.NotEqual(LinkOf($"{beside}/ns/{space}"), LinkOf($"{process}/ns/{space}"));
        Assert.NotEqual(UserOf(beside), UserOf(process));
        await other.StopAsync(TimeSpan.Zero, CancellationToken.None);

        // An empty root that nobody can write, without /proc and /dev.
        var mount = Assert.Single(await File.ReadAllLinesAsync($"{process}/mountinfo"));
        Assert.Contains(" / / ro,nosuid", mount, StringComparison.Ordinal);
        Assert.Contains(" tmpfs ", mount, StringComparison.Ordinal);
        var files = Directory.EnumerateFiles($"{process}/root", "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 });
        Assert.All(files.Select(path => new FileInfo(path)).Where(file => file.LinkTarget is null), file => Assert.Equal(0, file.Length));
        var links = await CommandRunner.RunCheckedAsync(new Command("nsenter", $"--net={process}/ns/net", "ip", "-oneline", "link"), CancellationToken.None);
        Assert.StartsWith("1: lo: <LOOPBACK> ", Assert.Single(links.StandardOutput.Trim().Split('\n')), StringComparison.Ordinal);

        await AssertFilesAsync(process, test, machine);
        AssertControlGroups(process, test, machine);
        Assert.Equal(0, (await TestHost.RunAsync(machine, "echo works > /tmp/x")).Exit.ExitCode);
    }

    /// <summary>Also of what lies in the computer's cache, which its control group does not count.</summary>
    [Fact]
    public async Task Io_OfAMachine_IsInForceAndSurvivesASnapshot()
    {
        const int MiB = 6;
        const int Limit = 2 << 20;
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync(null, spec => spec with { Io = new IoLimits(ReadBytes: Limit, WriteBytes: Limit) });
        // A tenth of a second's worth goes at once.
        var least = 0.9 * ((MiB << 20) - (0.1 * Limit)) / Limit;
        await AssertSlowAsync(machine, $"dd if=/dev/zero of=/x bs=1M count={MiB} conv=fsync 2>/dev/null", least);
        await AssertSlowAsync(machine, "sync; echo 3 > /proc/sys/vm/drop_caches; cat /x > /dev/null", least);
        await machine.SnapshotAsync(Path.Combine(test.Options.Folder, "saved"), CancellationToken.None);
        var again = await test.Host.RestoreAsync(Path.Combine(test.Options.Folder, "saved"), spec => spec, CancellationToken.None);
        await AssertSlowAsync(again, $"dd if=/dev/zero of=/y bs=1M count={MiB} conv=fsync 2>/dev/null", least);
        await again.StopAsync(TimeSpan.Zero, CancellationToken.None);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
    }

    private static async Task AssertSlowAsync(Machine machine, string command, double least)
    {
        var began = System.Diagnostics.Stopwatch.GetTimestamp();
        Assert.Equal(0, (await TestHost.RunAsync(machine, command)).Exit.ExitCode);
        Assert.InRange(System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalSeconds, least, 10 * least);
    }

    /// <summary>No capabilities, not even to be had; no way to get any; system calls filtered; in every thread.</summary>
    private static void AssertRights(string process)
    {
        foreach (var thread in Directory.EnumerateDirectories($"{process}/task"))
        {
            var status = File.ReadAllLines($"{thread}/status").Select(line => line.Split(':', 2)).ToDictionary(pair => pair[0], pair => pair[1].Trim());
            var user = Assert.Single(status["Uid"].Split('\t').Distinct());
            Assert.Equal(user, Assert.Single(status["Gid"].Split('\t').Distinct()));
            Assert.True(uint.Parse(user) >= 1_900_000_000, user);
            Assert.Equal("", status["Groups"]);
            Assert.Equal(("1", "2"), (status["NoNewPrivs"], status["Seccomp"]));
            foreach (var set in new[] { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" })
                Assert.Equal("0000000000000000", status[set]);
        }
    }

    private static async Task AssertFilesAsync(string process, TestHost test, Machine machine)
    {
        var boot = await TestBoot.Files;
        var own = Path.Combine(test.Options.Folder, "machines", machine.Id);
        string[] allowed = [boot.KernelPath, boot.InitramfsPath, await TestBoot.Layer, Path.Combine(own, "disk.raw"), "/dev/null", "/dev/net/tun"];
        foreach (var file in Directory.EnumerateFileSystemEntries($"{process}/fd"))
        {
            var target = LinkOf(file);
            // By no descriptor does it get at folders.
            Assert.False(Directory.Exists(file), target);
            // The devices that it began with are mounted nowhere any more, so they have no name.
            if (target == "/")
                continue;
            if (target is null || target.StartsWith("anon_inode:", StringComparison.Ordinal) || target.StartsWith("socket:", StringComparison.Ordinal)
                || target.StartsWith("pipe:", StringComparison.Ordinal) || target.StartsWith("/memfd:", StringComparison.Ordinal))
                continue;
            Assert.Contains(target, allowed);
        }
    }

    private static void AssertControlGroups(string process, TestHost test, Machine machine)
    {
        var own = $"/byteport/{test.HostId}/{machine.Id}";
        var groups = File.ReadAllLines($"{process}/cgroup").Select(line => line.Split(':', 3)).ToList();
        if (groups is [["0", "", var single]])
        {
            Assert.Equal(own, single);
            return;
        }

        foreach (var controller in new[] { "cpu", "memory", "pids", "blkio" })
        {
            if (groups.FirstOrDefault(group => group[1].Split(',').Contains(controller)) is { } group && Directory.Exists($"/sys/fs/cgroup/{controller}"))
                Assert.Equal(own, group[2]);
        }
    }

    private static string UserOf(string process) => File.ReadLines($"{process}/status").First(line => line.StartsWith("Uid:", StringComparison.Ordinal));

    private static string? LinkOf(string path) => new FileInfo(path).LinkTarget;
}
