using System.Diagnostics;
using System.Text;
using NanoVms.Commands;
using NanoVms.Machines;
using NanoVms.Network;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Snapshots;

/// <summary>Machines that sleep and wake: real QEMU, kernel and agent.</summary>
[Collection(nameof(MachineHostTests))]
public sealed class SleepTests
{
    private const string Counting = "i=0; while true; do echo $i; echo $i > /dev/shm/count; i=$((i+1)); sleep 0.05; done";

    [Fact]
    public async Task Machine_SuspendedAndWoken_IsTheSameAndGoesOn()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync($"(while true; do cat /mark | nc -l -p 8080; done) >/dev/null 2>&1 & {Counting}", spec => spec with { Ports = [new PortMapping(18_099, 8080)] });
        var output = ReadOutputAsync(machine, CancellationToken.None);
        _ = await TestHost.RunAsync(machine, "echo kept > /mark");
        var (id, address, before) = (machine.Id, machine.Address, await CountAsync(machine));

        await machine.SuspendAsync(CancellationToken.None);
        Assert.Equal(MachineState.Snapshotted, machine.State);
        Assert.Empty(test.Processes());
        Assert.Same(machine, test.Host.Find(id));
        Assert.Contains("wake it first", (await Assert.ThrowsAsync<MachineException>(() => TestHost.RunAsync(machine, "true"))).Message, StringComparison.Ordinal);
        _ = await Assert.ThrowsAsync<MachineException>(() => machine.SuspendAsync(CancellationToken.None));
        _ = await Assert.ThrowsAsync<MachineException>(() => machine.PauseAsync(CancellationToken.None));
        Assert.False(machine.Exited.IsCompleted);

        // Another host, as after a restart, finds it asleep.
        await test.ReopenAsync();
        machine = test.Host.Find(id)!;
        Assert.Equal((MachineState.Snapshotted, address), (machine.State, machine.Address));

        var clock = Stopwatch.StartNew();
        await machine.WakeAsync(null, CancellationToken.None);
        MachineHostTests.AssertNotFavored(test, machine);
        TestContext.Current.SendDiagnosticMessage("awake in {0:0} ms, {1}", clock.Elapsed.TotalMilliseconds, machine.Timings);
        Assert.Equal((MachineState.Running, address, id), (machine.State, machine.Address, machine.Id));
        var (_, said) = await TestHost.RunAsync(machine, $"cat /mark; ip -4 -o addr show dev eth0 | grep -o 'inet [0-9.]*'; date +%s");
        var lines = said.Split('\n');
        Assert.Equal(["kept", $"inet {address}"], lines[..2]);
        Assert.InRange(long.Parse(lines[2]), DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 5, DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 5);
        await Task.Delay(200, CancellationToken.None);
        Assert.True(await CountAsync(machine) > before, "It does not go on where it was.");
        Assert.Equal("kept", await CommandAsync("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/18099; timeout 5 cat <&3"));

        // Twice, with a reader that stays: nothing of the output is lost or told again.
        var reading = ReadOutputAsync(machine, CancellationToken.None);
        await machine.SuspendAsync(CancellationToken.None);
        // Whoever asked for it and leaves in the middle ends nothing.
        using (var leaving = new CancellationTokenSource(TimeSpan.FromMilliseconds(150)))
            _ = await Record.ExceptionAsync(() => machine.WakeAsync(null, leaving.Token));
        Assert.True(machine.State is MachineState.Running or MachineState.Snapshotted, machine.State.ToString());
        await machine.WakeAsync(null, CancellationToken.None);
        await Task.Delay(300, CancellationToken.None);
        await machine.StopAsync(TimeSpan.FromSeconds(1), CancellationToken.None);
        var counted = (await reading).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).ToList();
        Assert.Equal(Enumerable.Range(0, counted.Count), counted);
        Assert.True(counted.Count > before);
        Assert.Empty(await test.LeftoversAsync());
        _ = await output;
    }

    [Fact]
    public async Task Machine_StoppedInItsSleep_LeavesNothing()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync(Counting);
        var reading = ReadOutputAsync(machine, CancellationToken.None);
        await Task.Delay(500, CancellationToken.None);
        var suspending = machine.SuspendAsync(CancellationToken.None);
        // Asked for in the middle: it falls asleep first.
        await Task.Delay(20, CancellationToken.None);
        await machine.StopAsync(TimeSpan.FromSeconds(2), CancellationToken.None);
        await suspending;
        Assert.Equal(MachineState.Stopped, machine.State);
        Assert.True((await machine.Exited).ExitCode is null);
        Assert.NotEmpty(await reading);
        Assert.Empty(test.Host.Machines);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Wake_WhatWasSavedIsDamaged_IsRefusedOrBootedWithItsDisk()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync(Counting);
        _ = await TestHost.RunAsync(machine, "echo kept > /mark");
        await machine.SuspendAsync(CancellationToken.None);
        var memory = Path.Combine(test.Options.Folder, "machines", machine.Id, "sleep", "memory");
        using (var file = File.OpenHandle(memory, FileMode.Open, FileAccess.ReadWrite))
        {
            Span<byte> one = [0];
            var place = RandomAccess.GetLength(file) / 2;
            _ = RandomAccess.Read(file, one, place);
            RandomAccess.Write(file, [(byte)~one[0]], place);
        }

        Assert.Contains("'memory' is not what was saved", (await Assert.ThrowsAsync<MachineException>(() => machine.WakeAsync(null, CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Equal(MachineState.Snapshotted, machine.State);
        Assert.Empty(test.Processes());
        await machine.WakeAsync(TestHost.Shell("sync; cat /mark; sleep 1000"), CancellationToken.None);
        Assert.Equal(MachineState.Running, machine.State);
        Assert.Contains("'memory'", machine.BootedInstead, StringComparison.Ordinal);
        Assert.Equal("kept", (await TestHost.RunAsync(machine, "cat /mark")).Output);
        Assert.False(Directory.Exists(Path.GetDirectoryName(memory)));
        await foreach (var chunk in machine.ReadOutputAsync(0, CancellationToken.None))
        {
            // Offsets go on: whoever has read what was written before does not get it for the same.
            Assert.True(chunk.Offset > 0);
            Assert.Equal("kept\n", Encoding.UTF8.GetString(chunk.Data.Span));
            break;
        }

        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Empty(await test.LeftoversAsync());
    }

    private static async Task<string> ReadOutputAsync(Machine machine, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        await foreach (var chunk in machine.ReadOutputAsync(0, cancellationToken))
            text.Append(Encoding.UTF8.GetString(chunk.Data.Span));
        return text.ToString();
    }

    private static async Task<string> CommandAsync(string program, params string[] arguments) =>
        (await CommandRunner.RunCheckedAsync(new Command(program, arguments), CancellationToken.None)).StandardOutput.Trim();

    private static async Task<int> CountAsync(Machine machine) => int.Parse((await TestHost.RunAsync(machine, "cat /dev/shm/count")).Output);
}
