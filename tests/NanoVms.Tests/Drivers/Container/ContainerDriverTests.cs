using System.Diagnostics;
using System.Globalization;
using NanoVms.Commands;
using NanoVms.Machines;
using NanoVms.Tests.Agent;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Drivers.Container;

/// <summary>Real crun, kernel and agent. Alone, as it counts what is left on the computer.</summary>
[Collection(nameof(MachineHostTests))]
public sealed class ContainerDriverTests
{
    private const string Ticking = "trap 'echo bye; exit 7' TERM; i=0; while true; do echo tick $i; i=$((i+1)); sleep 0.1; done";
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task GetDrivers_ThisComputer_ContainersWorkAndWarn()
    {
        await using var test = await OpenAsync();
        var status = (await test.Host.GetDriversAsync(CancellationToken.None)).Single(s => s.Name == "container");
        Assert.True(status.Usable, status.Reason);
        Assert.Contains("share this computer's kernel", status.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_Container_RunsTalksAndStops()
    {
        await using var test = await OpenAsync();
        var machine = await StartAsync(test, Ticking, spec => spec with { CpuLimit = 0.5, BootBurst = TimeSpan.Zero });
        Assert.Equal(("container", MachineState.Running), (machine.Driver, machine.State));

        var (exit, output) = await TestHost.RunAsync(machine, "uname -r; uname -n; id -u; ulimit -n; cat /etc/hosts; echo oops >&2; exit 3");
        Assert.Equal(3, exit.ExitCode);
        var lines = output.Split('\n');
        Assert.Equal((await File.ReadAllTextAsync("/proc/sys/kernel/osrelease")).Trim(), lines[0]);
        Assert.Equal(("test", "0"), (lines[1], lines[2]));
        Assert.True(int.Parse(lines[3], CultureInfo.InvariantCulture) >= 1024, lines[3]);
        Assert.Contains($"{machine.Address}\ttest", output, StringComparison.Ordinal);
        Assert.Contains("oops", output, StringComparison.Ordinal);
        Assert.Equal(9, (await TestHost.RunAsync(machine, "kill -9 $$")).Exit.Signal);

        var stats = await machine.GetStatsAsync(CancellationToken.None);
        Assert.Equal(96L << 20, stats.MemoryTotal);
        Assert.InRange(stats.MemoryUsed, 1 << 16, 64L << 20);
        Assert.InRange(stats.DiskTotal, 900L << 20, 1L << 30);
        Assert.True(stats.CpuTime > TimeSpan.Zero);
        Assert.InRange(stats.Uptime, TimeSpan.FromMilliseconds(1), TimeSpan.FromMinutes(1));
        var quota = Path.Combine("/sys/fs/cgroup/cpu/byteport", test.HostId, machine.Id, "cpu.cfs_quota_us");
        if (File.Exists(quota))
            Assert.Equal("25000", (await File.ReadAllTextAsync(quota)).Trim());

        await machine.StopAsync(Soon, CancellationToken.None);
        Assert.Equal(7, (await machine.Exited).ExitCode);
        Assert.Empty(test.Host.Machines);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Stop_StopSignalOfTheImage_IsWhatTheMainProcessGets()
    {
        await using var test = await OpenAsync();
        var machine = await StartAsync(test, "trap 'exit 8' QUIT; trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done", spec => spec with { StopSignal = 3 });
        await foreach (var _ in machine.ReadOutputAsync(0, CancellationToken.None))
            break;
        await machine.StopAsync(Soon, CancellationToken.None);
        Assert.Equal(8, (await machine.Exited).ExitCode);
    }

    [Fact]
    public async Task Run_AsAUser_OnATerminal_Works()
    {
        await using var test = await OpenAsync();
        var machine = await StartAsync(test, null);
        var spec = TestHost.Shell("id -u; id -g; test -t 0 && echo terminal; echo x > /tmp/mine && cat /tmp/mine; echo y > /etc/not || echo refused") with { User = 1000, Group = 100, Terminal = new TerminalSize(80, 24) };
        var output = new System.Text.StringBuilder();
        var exit = await machine.RunAsync(spec, chunk => output.Append(System.Text.Encoding.UTF8.GetString(chunk.Data.Span)), CancellationToken.None);
        Assert.Equal(0, exit.ExitCode);
        var lines = output.ToString().Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["1000", "100", "terminal", "x"], lines[..4]);
        Assert.Equal("refused", lines[^1]);
        Assert.Equal("65534", (await TestHost.RunAsync(machine, "cat /proc/self/uid_map >/dev/null; echo 65534")).Output);
    }

    [Fact]
    public async Task Network_OfAContainer_ReachesNamesAndNeitherTheHostNorOthers()
    {
        await using var test = await OpenAsync();
        var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Any, 0);
        listener.Start();
        var port = ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
        var machine = await StartAsync(test, "while true; do echo hello | nc -l -p 8080; done");
        var other = await StartAsync(test, null);
        var gateway = string.Join('.', machine.Address!.ToString().Split('.')[..3]) + ".1";

        Assert.NotEqual(0, (await TestHost.RunAsync(machine, $"echo | nc -w 2 {gateway} {port}")).Exit.ExitCode);
        Assert.Equal(0, (await TestHost.RunAsync(machine, $"echo | nc -w 2 {gateway} 53")).Exit.ExitCode);
        Assert.NotEqual(0, (await TestHost.RunAsync(other, $"echo | nc -w 2 {machine.Address} 8080")).Exit.ExitCode);
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(machine.Address, 8080).WaitAsync(Soon);
        Assert.Equal("hello", await new StreamReader(client.GetStream()).ReadLineAsync());
        listener.Stop();

        var mac = await TestHost.RunAsync(machine, "cat /sys/class/net/eth0/address /sys/class/net/lo/operstate; cat /proc/net/dev | wc -l");
        Assert.StartsWith("02:42:0a", mac.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_WithoutNetwork_HasLoopbackAlone()
    {
        await using var test = await OpenAsync();
        var machine = await StartAsync(test, null, spec => spec with { Network = NetworkMode.None });
        var (exit, output) = await TestHost.RunAsync(machine, "echo /sys/class/net/*; (echo hi | nc -l -p 80) & sleep 0.2; nc -w 2 127.0.0.1 80 </dev/null");
        Assert.Equal(0, exit.ExitCode);
        Assert.Equal(["/sys/class/net/lo", "hi"], output.Split('\n'));
    }

    [Fact]
    public async Task Open_AfterDispose_AdoptsRunningAndPaused()
    {
        await using var test = await OpenAsync();
        var machine = await StartAsync(test, Ticking);
        var id = machine.Id;
        var processes = test.Processes().ToList();
        await machine.PauseAsync(CancellationToken.None);
        Assert.Equal(MachineState.Paused, machine.State);
        _ = await Assert.ThrowsAsync<MachineException>(() => machine.GetStatsAsync(CancellationToken.None));

        await test.ReopenAsync();
        machine = test.Host.Find(id)!;
        Assert.Equal(MachineState.Paused, machine.State);
        await machine.ResumeAsync(CancellationToken.None);

        await test.ReopenAsync();
        machine = test.Host.Find(id)!;
        Assert.Equal(MachineState.Running, machine.State);
        Assert.Equal(processes, test.Processes());
        Assert.Equal("adopted", (await TestHost.RunAsync(machine, "echo adopted")).Output);
        await machine.StopAsync(Soon, CancellationToken.None);
        Assert.Equal(7, (await machine.Exited).ExitCode);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Destroy_Paused_Ends()
    {
        var test = await OpenAsync();
        var machine = await StartAsync(test, Ticking);
        await machine.PauseAsync(CancellationToken.None);
        await test.Host.DisposeAsync();
        await MachineHost.DestroyAsync(test.Options, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None).WaitAsync(Soon);
        Assert.Empty(test.Processes());
        Assert.Empty(LoopDeviceLabels());
    }

    [Fact]
    public async Task Exited_ContainerKilled_SaysSo()
    {
        await using var test = await OpenAsync();
        var machine = await StartAsync(test, "sleep 1000");
        ProcessIdentity.Of(int.Parse(Path.GetFileName(test.Processes().Single()), CultureInfo.InvariantCulture))!.Signal(9);

        var exit = await machine.Exited.WaitAsync(Soon);
        Assert.Equal((null, null), (exit.ExitCode, exit.Signal));
        Assert.Contains("first process was killed", exit.Reason, StringComparison.Ordinal);
        Assert.Equal(MachineState.Failed, machine.State);

        await test.ReopenAsync();
        machine = Assert.Single(test.Host.Machines);
        Assert.Contains("first process was killed", machine.FailureReason, StringComparison.Ordinal);
        await machine.StopAsync(Soon, CancellationToken.None);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Limits_OfMemoryDiskAndProcesses_Hold()
    {
        await using var test = await OpenAsync();
        var machine = await StartAsync(test, "sleep 1000", spec => spec with { DiskBytes = 64L << 20, MemoryMiB = 64 });

        var full = await TestHost.RunAsync(machine, "dd if=/dev/zero of=/big bs=1M count=100");
        Assert.NotEqual(0, full.Exit.ExitCode);
        Assert.Contains("No space left", full.Output, StringComparison.Ordinal);
        _ = await TestHost.RunAsync(machine, "dd if=/dev/null of=/big");

        var hungry = await TestHost.RunAsync(machine, "x=$(dd if=/dev/zero bs=1M count=90 | tr '\\0' x); echo survived");
        Assert.DoesNotContain("survived", hungry.Output, StringComparison.Ordinal);

        // Last, because they stay.
        var bomb = await TestHost.RunAsync(machine, "i=0; while [ $i -lt 700 ]; do sleep 60 & i=$((i+1)); done; echo all");
        Assert.DoesNotContain("all", bomb.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Drives_ReadOnlyAndWritable_AreDevices()
    {
        await using var test = await OpenAsync();
        var (data, source) = (Path.Combine(test.Options.Folder, "data.raw"), Path.Combine(test.Options.Folder, "source.raw"));
        await File.WriteAllBytesAsync(data, new byte[1 << 20]);
        await File.WriteAllTextAsync(source, "from outside\n".PadRight(4096, '.'));
        var machine = await StartAsync(test, null, spec => spec with { Drives = [new DriveSpec("data", data, false), new DriveSpec("source", source, true)] });
        var (exit, output) = await TestHost.RunAsync(machine, "dd if=/dev/nanovms/source bs=12 count=1; echo inside | dd of=/dev/nanovms/data; sync; echo x | dd of=/dev/nanovms/source");
        Assert.NotEqual(0, exit.ExitCode);
        Assert.Contains("from outside", output, StringComparison.Ordinal);
        await machine.StopAsync(Soon, CancellationToken.None);
        Assert.StartsWith("inside", await File.ReadAllTextAsync(data), StringComparison.Ordinal);
        Assert.StartsWith("from outside", await File.ReadAllTextAsync(source), StringComparison.Ordinal);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Layers_OfTwoContainers_AreOneDevice()
    {
        await using var test = await OpenAsync();
        var (first, second) = (await StartAsync(test, null), await StartAsync(test, null));
        Assert.Single(LoopDeviceLabels(), label => label == "nanovms-layer");
        Assert.Equal("first", (await TestHost.RunAsync(first, "echo first > /file; cat /file")).Output);
        Assert.NotEqual(0, (await TestHost.RunAsync(second, "cat /file")).Exit.ExitCode);
        await first.StopAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Equal("alive", (await TestHost.RunAsync(second, "echo alive")).Output);
    }

    [Fact]
    public async Task Start_LayerThatIsBroken_IsRefusedAndNothingIsLeft()
    {
        await using var test = await OpenAsync();
        var broken = Path.Combine(test.Options.Folder, "broken.erofs");
        var bytes = new byte[64 * 1024];
        (await File.ReadAllBytesAsync(await TestBoot.Layer)).AsSpan(1024, 4).CopyTo(bytes.AsSpan(1024));
        await File.WriteAllBytesAsync(broken, bytes);
        var failure = await Assert.ThrowsAsync<MachineException>(() => StartAsync(test, "true", spec => spec with { Layers = [broken] }));
        Assert.Contains($"Layer {broken} cannot be mounted", failure.Message, StringComparison.Ordinal);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Start_Canceled_LeavesNothing()
    {
        await using var test = await OpenAsync();
        _ = await TestBoot.Layer;
        foreach (var milliseconds in new[] { 0, 5, 15, 25, 40 })
        {
            using var cancel = new CancellationTokenSource(milliseconds);
            try
            {
                await (await StartAsync(test, "true", cancellationToken: cancel.Token)).StopAsync(TimeSpan.Zero, CancellationToken.None);
            }
            catch (OperationCanceledException)
            {
                // As a rule.
            }

            Assert.Empty(await test.LeftoversAsync());
        }
    }

    [Fact]
    public async Task Open_AfterTheHostWasKilled_AdoptsTheWholeAndRemovesTheHalf()
    {
        await using var test = await OpenAsync();
        _ = await TestBoot.Layer;
        // At several moments of the second machine's start.
        foreach (var milliseconds in new[] { 0, 8, 16, 24, 32, 40, 50 })
        {
            await test.Host.DisposeAsync();
            using var child = Process.Start(new ProcessStartInfo(Path.ChangeExtension(typeof(MachineHostTests).Assembly.Location, null))
            {
                ArgumentList = { HostChild.ContainerVerb, test.Options.Folder, test.Options.Network.BridgeName, test.Options.AgentPath! },
                RedirectStandardOutput = true,
            })!;
            var id = await child.StandardOutput.ReadLineAsync().WaitAsync(Soon);
            await Task.Delay(milliseconds);
            child.Kill();
            await child.WaitForExitAsync();

            await test.ReopenAsync();
            var machine = test.Host.Find(id!);
            Assert.NotNull(machine);
            Assert.Equal("alive", (await TestHost.RunAsync(machine, "echo alive")).Output);
            await Task.WhenAll(test.Host.Machines.Select(m => m.StopAsync(TimeSpan.Zero, CancellationToken.None)));
            Assert.Empty(await test.LeftoversAsync());
        }
    }

    [Fact]
    public async Task Start_AddressesExhausted_IsSaidUntilOneIsFreeAgain()
    {
        // 16 addresses: without the network's own, broadcast and the gateway's there are 13.
        await using var test = await TestHost.OpenAsync(await AgentBinary.PathAsync, "10.202.255.0/28");
        var machines = await Task.WhenAll(Enumerable.Range(0, 13).Select(_ => StartAsync(test, null)));
        var refused = await Assert.ThrowsAsync<MachineException>(() => StartAsync(test, null));
        Assert.Contains("No address is free for machine 'test': all of 10.202.255.0/28 are in use", refused.Message, StringComparison.Ordinal);
        Assert.True(refused.IsTransient);

        // Those of the dead are kept for nobody; those of a host that comes back are not given away.
        await test.ReopenAsync();
        _ = await Assert.ThrowsAsync<MachineException>(() => StartAsync(test, null));
        await test.Host.Find(machines[4].Id)!.StopAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Equal(machines[4].Address, (await StartAsync(test, null)).Address);
        await Task.WhenAll(test.Host.Machines.Select(machine => machine.StopAsync(TimeSpan.Zero, CancellationToken.None)));
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Start_AndStop_ManyTimes_LeavesNothing()
    {
        await using var test = await OpenAsync();
        var cycles = int.Parse(Environment.GetEnvironmentVariable("NANOVMS_CYCLES") ?? "200", CultureInfo.InvariantCulture);
        var descriptors = 0;
        for (var i = 0; i < cycles; i++)
        {
            var machine = await StartAsync(test, i % 2 == 0 ? "echo done" : null);
            if (i % 2 == 0)
                Assert.Equal(0, (await machine.Exited.WaitAsync(Soon)).ExitCode);
            await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
            if (i % 10 == 0)
                Assert.Empty(await test.LeftoversAsync());
            if (i == 1)
                descriptors = Directory.GetFiles("/proc/self/fd").Length;
        }

        Assert.Empty(await test.LeftoversAsync());
        Assert.InRange(Directory.GetFiles("/proc/self/fd").Length, 0, descriptors + 10);

        // No thread of ours has stayed among a container's mounts, which it would keep.
        for (var tries = 0; Views().Count > 1; tries++)
        {
            Assert.True(tries < 100, string.Join(' ', Views()));
            await Task.Delay(100);
        }

        static List<string?> Views() => [.. Directory.EnumerateDirectories("/proc/self/task").Select(thread => new FileInfo(thread + "/ns/mnt").LinkTarget).Distinct()];
    }

    private static async Task<TestHost> OpenAsync() => await TestHost.OpenAsync(await AgentBinary.PathAsync);

    private static Task<Machine> StartAsync(TestHost test, string? script, Func<MachineSpec, MachineSpec>? change = null, CancellationToken cancellationToken = default) =>
        test.StartAsync(script, spec => (change?.Invoke(spec) ?? spec) with { Driver = "container" }, cancellationToken);

    private static IReadOnlyList<string> LoopDeviceLabels() =>
        [.. NanoVms.Drivers.Container.LoopDevice.Labels().Where(label => label.StartsWith("nanovms-", StringComparison.Ordinal))];
}
