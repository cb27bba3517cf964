using System.Diagnostics;
using NanoVms.Commands;
using NanoVms.Machines;
using NanoVms.Snapshots;
using NanoVms.Tests.Agent;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Chaos;

/// <summary>
/// Whatever dies, and whenever: the next host finds each machine whole or not at all, and nothing leaks. <c>NANOVMS_CHAOS</c> is the
/// number of instants at which each step is cut; more of them take longer.
/// </summary>
[Collection(nameof(MachineHostTests))]
public sealed class ChaosTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);
    /// <summary>A container whose first process is gone and whose agent never came is given up after the time a boot may take.</summary>
    private static readonly TimeSpan BootLimit = TimeSpan.FromSeconds(90);

    private static readonly int Instants = int.Parse(Environment.GetEnvironmentVariable("NANOVMS_CHAOS") ?? "1");

    private readonly string _snapshots = Directory.CreateTempSubdirectory("nanovms-chaos-").FullName;

    public void Dispose() => Directory.Delete(_snapshots, recursive: true);

    [Theory]
    [InlineData("container")]
    [InlineData("qemu")]
    public async Task Host_KilledInEveryStep_LeavesWholeMachinesOrNone(string driver)
    {
        await using var test = await OpenAsync();
        var lengths = await MeasureAsync(test, driver);
        foreach (var step in ChaosChild.Steps(driver))
        {
            for (var i = 0; i < Instants; i++)
                await CutAsync(test, driver, step, lengths[step] * (i + 0.5) / Instants);
        }
    }

    [Theory]
    [InlineData("container")]
    [InlineData("qemu")]
    public async Task Process_KilledWhileItStarts_GivesAnErrorAndLeavesNothing(string driver)
    {
        await using var test = await OpenAsync();
        await (await StartAsync(test, driver)).StopAsync(TimeSpan.Zero, CancellationToken.None);
        foreach (var delay in driver == "qemu" ? new[] { 150 } : [0, 10])
        {
            var start = StartAsync(test, driver);
            var process = await FindAsync(test, start);
            await Task.Delay(delay);
            process?.Signal(9);
            try
            {
                // It may have been just too late.
                var machine = await start.WaitAsync(BootLimit);
                // Or what was killed only starts others, and had done so.
                if (await Record.ExceptionAsync(() => TestHost.RunAsync(machine, "true")) is not null)
                    Assert.Contains("signal 9", (await machine.Exited.WaitAsync(Soon)).Reason, StringComparison.Ordinal);
                await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
            }
            catch (MachineException e)
            {
                Assert.Contains("'test'", e.Message, StringComparison.Ordinal);
            }

            Assert.Empty(test.Host.Machines);
            await Survivors.LeaveNothingAsync(test, "start");
        }
    }

    [Fact]
    public async Task Hypervisor_KilledInTransitions_FailsTheMachineAlone()
    {
        await using var test = await OpenAsync();
        var other = await StartAsync(test, "qemu");
        var spared = test.Processes().ToHashSet();
        Func<Machine, Task>[] transitions =
        [
            m => m.PauseAsync(CancellationToken.None),
            m => m.SnapshotAsync(Path.Combine(_snapshots, "cut"), CancellationToken.None),
            m => m.StopAsync(TimeSpan.FromSeconds(5), CancellationToken.None),
        ];
        foreach (var transition in transitions)
        {
            var machine = await StartAsync(test, "qemu");
            var process = ProcessIdentity.Of(int.Parse(Path.GetFileName(test.Processes().Except(spared).Single())))!;
            var moving = transition(machine);
            process.Signal(9);
            _ = await Record.ExceptionAsync(() => moving.WaitAsync(Soon));
            Assert.NotNull(await machine.Exited.WaitAsync(Soon));
            await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
            Assert.False(Directory.Exists(Path.Combine(_snapshots, "cut")) && !IsWhole("cut"));
            foreach (var left in Directory.GetDirectories(_snapshots))
                Directory.Delete(left, recursive: true);
            Assert.Equal(spared.Order(), test.Processes().Order());
            Assert.Equal(MachineState.Running, other.State);
            Assert.Equal("alive", (await TestHost.RunAsync(other, "echo alive")).Output);
        }

        await other.StopAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Theory]
    [InlineData("container")]
    [InlineData("qemu")]
    public async Task Disk_Full_IsSaidAndLosesNothing(string driver)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_snapshots, "small")).FullName;
        await MountAsync(folder);
        try
        {
            await using var test = TestHost.Of(Path.Combine(folder, "host"), $"nvc{Random.Shared.Next(0x10000):x4}", await AgentBinary.PathAsync);
            await test.ReopenAsync();
            var before = await StartAsync(test, driver);

            var filler = Path.Combine(folder, "filler");
            await Assert.ThrowsAsync<IOException>(() => FillAsync(filler));
            var failure = await Assert.ThrowsAnyAsync<Exception>(() => StartAsync(test, driver));
            Assert.True(failure is MachineException or IOException, failure.ToString());
            Assert.Contains("space", failure.Message, StringComparison.OrdinalIgnoreCase);
            Assert.Equal("alive", (await TestHost.RunAsync(before, "echo alive")).Output);
            if (driver == "qemu")
            {
                _ = await Assert.ThrowsAnyAsync<Exception>(() => before.SnapshotAsync(Path.Combine(folder, "saved"), CancellationToken.None));
                Assert.False(Directory.Exists(Path.Combine(folder, "saved")));
                Assert.Equal("alive", (await TestHost.RunAsync(before, "echo alive")).Output);
            }

            File.Delete(filler);
            var after = await StartAsync(test, driver);
            Assert.Equal(2, test.Host.Machines.Count);
            await Task.WhenAll(new[] { before, after }.Select(m => m.StopAsync(TimeSpan.Zero, CancellationToken.None)));
            Assert.Empty(await test.LeftoversAsync());
        }
        finally
        {
            await CommandRunner.RunCheckedAsync(new Command("umount", "--lazy", folder), CancellationToken.None);
        }
    }

    private static async Task<TestHost> OpenAsync() => await TestHost.OpenAsync(await AgentBinary.PathAsync);

    private static Task<Machine> StartAsync(TestHost test, string driver) =>
        test.StartAsync("sleep 1000", spec => spec with { Driver = driver, DiskBytes = 64 << 20 });

    private static Task MountAsync(string folder) =>
        CommandRunner.RunCheckedAsync(new Command("mount", "-t", "tmpfs", "-o", "size=64m", "nanovms-chaos", folder), CancellationToken.None);

    private static async Task FillAsync(string path)
    {
        await using var file = File.Create(path);
        var block = new byte[1 << 16];
        block.AsSpan().Fill(1);
        while (true)
        {
            await file.WriteAsync(block);
            await file.FlushAsync();
        }
    }

    /// <summary>The machine's process as soon as there is one; null when the start was quicker.</summary>
    private static async Task<ProcessIdentity?> FindAsync(TestHost test, Task start)
    {
        while (!start.IsCompleted)
        {
            if (test.Processes().FirstOrDefault() is { } found && ProcessIdentity.Of(int.Parse(Path.GetFileName(found))) is { } process)
                return process;
            await Task.Delay(1);
        }

        return null;
    }

    private async Task<Dictionary<string, TimeSpan>> MeasureAsync(TestHost test, string driver)
    {
        using var child = await BeginAsync(test, driver);
        var lengths = new Dictionary<string, TimeSpan>();
        var clock = new Stopwatch();
        string? last = null;
        while (await child.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)) is { } line)
        {
            if (last is not null)
                lengths[last] = clock.Elapsed;
            last = line;
            clock.Restart();
        }

        await child.WaitForExitAsync();
        Assert.Equal("end", last);
        await CheckAsync(test, "nothing");
        return lengths;
    }

    private async Task CutAsync(TestHost test, string driver, string step, TimeSpan after)
    {
        using var child = await BeginAsync(test, driver);
        while (await child.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)) is { } line && line != step)
            continue;
        await Task.Delay(after);
        child.Kill();
        await child.WaitForExitAsync();
        await CheckAsync(test, $"{step} after {after.TotalMilliseconds:0} ms");
    }

    private async Task<Process> BeginAsync(TestHost test, string driver)
    {
        await test.Host.DisposeAsync();
        return Process.Start(new ProcessStartInfo(
            Path.ChangeExtension(typeof(ChaosTests).Assembly.Location, null), ChaosChild.Arguments(test, driver, ChaosChild.Steps(driver), _snapshots))
        {
            RedirectStandardOutput = true,
        })!;
    }

    private async Task CheckAsync(TestHost test, string cut)
    {
        await Survivors.OpenAsync(test, cut);
        if (Directory.Exists(Path.Combine(_snapshots, "one")))
            Assert.True(IsWhole("one"), cut);
        await Survivors.StopAsync(test, cut);
        foreach (var folder in Directory.GetDirectories(_snapshots))
            Directory.Delete(folder, recursive: true);
    }

    private bool IsWhole(string name) => SnapshotManifest.Read(Path.Combine(_snapshots, name)) is not null;
}
