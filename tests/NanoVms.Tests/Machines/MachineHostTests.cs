using System.Diagnostics;
using System.Globalization;
using System.Text;
using NanoVms.Commands;
using NanoVms.Machines;

namespace NanoVms.Tests.Machines;

/// <summary>Alone: machines are slow enough by emulation, and one test counts this process's open files.</summary>
[CollectionDefinition(nameof(MachineHostTests), DisableParallelization = true)]
public sealed class MachineHostOrder;

/// <summary>Real QEMU, kernel and agent.</summary>
[Collection(nameof(MachineHostTests))]
public sealed class MachineHostTests
{
    private const string Ticking = "trap 'echo bye; exit 7' TERM; i=0; while true; do echo tick $i; i=$((i+1)); sleep 0.1; done";
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Start_Machine_RunsTalksAndStops()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync(Ticking, spec => spec with { CpuLimit = 0.5, BootBurst = TimeSpan.Zero });

        Assert.Equal(MachineState.Running, machine.State);
        Assert.Same(machine, Assert.Single(test.Host.Machines));
        Assert.True(machine.Timings.AgentReady > machine.Timings.ProcessStart, machine.Timings.ToString());

        var (exit, output) = await TestHost.RunAsync(machine, "uname -r; id -u; cat /proc/self/mounts | cat; echo oops >&2; exit 3");
        Assert.Equal(3, exit.ExitCode);
        Assert.DoesNotContain(Environment.OSVersion.Version.ToString(3), output.Split('\n')[0], StringComparison.Ordinal);
        Assert.Contains("oops", output, StringComparison.Ordinal);

        var stats = await machine.GetStatsAsync(CancellationToken.None);
        Assert.InRange(stats.MemoryTotal, 48L << 20, 96L << 20);
        Assert.InRange(stats.DiskTotal, 900L << 20, 1L << 30);
        Assert.True(stats.CpuTime > TimeSpan.Zero);

        var lines = new List<string>();
        await foreach (var line in LinesAsync(machine, 0))
        {
            lines.Add(line);
            if (lines.Count == 3)
                break;
        }

        Assert.Equal(["tick 0", "tick 1", "tick 2"], lines);
        var quota = Path.Combine("/sys/fs/cgroup/cpu/byteport", test.HostId, machine.Id, "cpu.cfs_quota_us");
        if (File.Exists(quota))
            Assert.Equal("25000", File.ReadAllText(quota).Trim());
        AssertNotFavored(test, machine);

        var last = CollectAsync(machine);
        await machine.StopAsync(Soon, CancellationToken.None);
        Assert.Equal(7, (await machine.Exited).ExitCode);
        Assert.EndsWith("bye", (await last).Trim(), StringComparison.Ordinal);
        Assert.Equal(MachineState.Stopped, machine.State);
        Assert.Empty(test.Host.Machines);
        Assert.Empty(await test.LeftoversAsync());
    }

    /// <summary>Only while it starts does a machine go before others.</summary>
    internal static void AssertNotFavored(TestHost test, Machine machine)
    {
        var shares = Path.Combine("/sys/fs/cgroup/cpu/byteport", test.HostId, machine.Id, "cpu.shares");
        if (File.Exists(shares))
            Assert.Equal("1024", File.ReadAllText(shares).Trim());
    }

    [Fact]
    public async Task Network_OfAMachine_ReachesNamesAndNotTheHost()
    {
        await using var test = await TestHost.OpenAsync();
        var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Any, 0);
        listener.Start();
        var port = ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
        var machine = await test.StartAsync("while true; do echo hello | nc -l -p 8080; done");
        var gateway = string.Join('.', machine.Address!.ToString().Split('.')[..3]) + ".1";

        Assert.NotEqual(0, (await TestHost.RunAsync(machine, $"echo | nc -w 2 {gateway} {port}")).Exit.ExitCode);
        Assert.Equal(0, (await TestHost.RunAsync(machine, $"echo | nc -w 2 {gateway} 53")).Exit.ExitCode);

        // The computer reaches the machine.
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(machine.Address, 8080).WaitAsync(Soon);
        Assert.Equal("hello", await new StreamReader(client.GetStream()).ReadLineAsync());
        listener.Stop();
    }

    [Fact]
    public async Task Open_AfterDispose_AdoptsRunningAndPaused()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync(Ticking);
        var id = machine.Id;
        var process = Assert.Single(test.Processes());
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
        Assert.Equal(process, Assert.Single(test.Processes()));
        Assert.Equal("adopted", (await TestHost.RunAsync(machine, "echo adopted")).Output);
        await foreach (var line in LinesAsync(machine, "tick 0\n".Length))
        {
            Assert.Equal("tick 1", line);
            break;
        }

        await machine.StopAsync(Soon, CancellationToken.None);
        Assert.Equal(7, (await machine.Exited).ExitCode);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Open_AfterTheHostWasKilled_AdoptsTheWholeAndRemovesTheHalf()
    {
        await using var test = await TestHost.OpenAsync();
        await test.Host.DisposeAsync();
        _ = await TestBoot.Files;
        _ = await TestBoot.Layer;
        using var child = Process.Start(new ProcessStartInfo(Path.ChangeExtension(typeof(MachineHostTests).Assembly.Location, null))
        {
            ArgumentList = { HostChild.Verb, test.Options.Folder, test.Options.Network.BridgeName },
            RedirectStandardOutput = true,
        })!;
        var id = await child.StandardOutput.ReadLineAsync().WaitAsync(Soon);
        // The second machine has its process by now, and no agent yet.
        for (var i = 0; i < 200 && test.Processes().Count() < 2; i++)
            await Task.Delay(20);
        Assert.Equal(2, test.Processes().Count());
        child.Kill();
        await child.WaitForExitAsync();

        await test.ReopenAsync();

        var machine = Assert.Single(test.Host.Machines);
        Assert.Equal(id, machine.Id);
        Assert.Single(test.Processes());
        Assert.Equal("alive", (await TestHost.RunAsync(machine, "echo alive")).Output);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Exited_HypervisorKilled_SaysSo()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync("sleep 1000");
        ProcessIdentity.Of(int.Parse(Path.GetFileName(test.Processes().Single())))!.Signal(9);

        var exit = await machine.Exited.WaitAsync(Soon);
        Assert.Equal((null, null), (exit.ExitCode, exit.Signal));
        Assert.Contains("killed by signal 9", exit.Reason, StringComparison.Ordinal);
        Assert.Equal(MachineState.Failed, machine.State);
        var failure = await Assert.ThrowsAsync<MachineException>(() => machine.RunAsync(TestHost.Shell("true"), null, CancellationToken.None));
        Assert.Contains("killed by signal 9", failure.Message, StringComparison.Ordinal);

        // It stays, with its reason, also after a restart, until somebody stops it.
        await test.ReopenAsync();
        machine = Assert.Single(test.Host.Machines);
        Assert.Contains("killed by signal 9", machine.FailureReason, StringComparison.Ordinal);
        await machine.StopAsync(Soon, CancellationToken.None);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Exited_GuestPanics_SaysWhatTheConsoleSaid()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync("sleep 0.3; echo c > /proc/sysrq-trigger");

        var exit = await machine.Exited.WaitAsync(Soon);
        Assert.Contains("Kernel panic", exit.Reason, StringComparison.Ordinal);
        Assert.Equal(MachineState.Failed, machine.State);
        Assert.Empty(test.Processes());
    }

    [Fact]
    public async Task Start_LayerThatIsNone_IsRefusedAndNothingIsLeft()
    {
        await using var test = await TestHost.OpenAsync();
        var failure = await Assert.ThrowsAsync<MachineException>(
            () => test.StartAsync("true", spec => spec with { Layers = ["/etc/passwd"] }));
        Assert.Contains("'/etc/passwd' is not an EROFS image", failure.Message, StringComparison.Ordinal);

        // The right magic number and nothing behind it: the guest finds out.
        var broken = Path.Combine(test.Options.Folder, "broken.erofs");
        var bytes = new byte[64 * 1024];
        (await File.ReadAllBytesAsync(await TestBoot.Layer)).AsSpan(1024, 4).CopyTo(bytes.AsSpan(1024));
        await File.WriteAllBytesAsync(broken, bytes);
        failure = await Assert.ThrowsAsync<MachineException>(() => test.StartAsync("true", spec => spec with { Layers = [broken] }));
        Assert.Contains("mount", failure.Message, StringComparison.OrdinalIgnoreCase);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Start_Canceled_LeavesNothing()
    {
        await using var test = await TestHost.OpenAsync();
        _ = await TestBoot.Layer;
        foreach (var milliseconds in new[] { 0, 30, 150, 800 })
        {
            using var cancel = new CancellationTokenSource(milliseconds);
            _ = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => test.StartAsync("true", cancellationToken: cancel.Token));
            Assert.Empty(await test.LeftoversAsync());
        }
    }

    [Fact]
    public async Task Start_AndStop_ManyTimes_LeavesNothing()
    {
        await using var test = await TestHost.OpenAsync();
        var cycles = int.Parse(Environment.GetEnvironmentVariable("NANOVMS_CYCLES") ?? "10", CultureInfo.InvariantCulture);
        var descriptors = 0;
        for (var i = 0; i < cycles; i++)
        {
            var machine = await test.StartAsync(i % 2 == 0 ? "echo done" : null);
            if (i % 2 == 0)
            {
                Assert.Equal(0, (await machine.Exited.WaitAsync(Soon)).ExitCode);
                Assert.Equal("done", (await CollectAsync(machine)).Trim());
            }

            await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
            Assert.Empty(await test.LeftoversAsync());
            if (i == 1)
                descriptors = Directory.GetFiles("/proc/self/fd").Length;
        }

        // Threads of the pool and their like come and go; what leaked would be five and more a cycle.
        Assert.InRange(Directory.GetFiles("/proc/self/fd").Length, 0, descriptors + 10);
    }

    internal static async IAsyncEnumerable<string> LinesAsync(Machine machine, long from)
    {
        var text = "";
        await foreach (var chunk in machine.ReadOutputAsync(from, CancellationToken.None))
        {
            text += Encoding.UTF8.GetString(chunk.Data.Span);
            while (text.IndexOf('\n') is >= 0 and var end)
            {
                yield return text[..end];
                text = text[(end + 1)..];
            }
        }
    }

    private static async Task<string> CollectAsync(Machine machine)
    {
        var text = new StringBuilder();
        await foreach (var chunk in machine.ReadOutputAsync(0, CancellationToken.None))
            text.Append(Encoding.UTF8.GetString(chunk.Data.Span));
        return text.ToString();
    }
}
