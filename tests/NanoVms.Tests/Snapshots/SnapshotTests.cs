using System.Diagnostics;
using NanoVms.Machines;
using NanoVms.Snapshots;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Snapshots;

/// <summary>Real QEMU, kernel and agent.</summary>
[Collection(nameof(MachineHostTests))]
public sealed class SnapshotTests : IDisposable
{
    private const string Counting = "i=0; while true; do echo $i > /next; mv /next /count; i=$((i+1)); sleep 0.05; done";

    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-snapshot-").FullName;

    private string Snapshot => Path.Combine(_folder, "one");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Restore_ThreeTimes_EachGoesOnAsAMachineOfItsOwn()
    {
        await using var test = await TestHost.OpenAsync();
        var original = await test.StartAsync(Counting);
        _ = await TestHost.RunAsync(original, "echo kept > /mark; cp /proc/sys/kernel/random/boot_id /dev/null");
        var clock = Stopwatch.StartNew();
        var snapshot = await original.SnapshotAsync(Snapshot, CancellationToken.None);
        TestContext.Current.SendDiagnosticMessage($"saved in {clock.Elapsed.TotalMilliseconds:0} ms");
        Assert.Equal(MachineState.Running, original.State);
        Assert.Equal("qemu", snapshot.Driver);
        var before = await CountAsync(original);
        await Task.Delay(300, CancellationToken.None);
        Assert.True(await CountAsync(original) > before, "The original does not go on.");

        var clones = new List<Machine>();
        for (var i = 0; i < 3; i++)
        {
            clock.Restart();
            clones.Add(await test.Host.RestoreAsync(Snapshot, spec => spec with { Name = $"clone-{i}" }, CancellationToken.None));
            TestContext.Current.SendDiagnosticMessage($"restored in {clock.Elapsed.TotalMilliseconds:0} ms, {clones[^1].Timings}");
        }

        var machines = clones.Append(original).ToList();
        Assert.Equal(4, machines.Select(m => m.Address).Distinct().Count());
        var seen = new List<string>();
        foreach (var machine in machines)
        {
            var (_, output) = await TestHost.RunAsync(machine, "cat /mark; hostname; cat /sys/class/net/eth0/address; head -c 16 /dev/urandom | md5sum; ip addr show dev eth0 | grep -o 'inet [0-9.]*'; date +%s; cat /proc/sys/kernel/random/boot_id");
            var lines = output.Split('\n');
            Assert.Equal("kept", lines[0]);
            Assert.Equal(machine.Spec.Name, lines[1]);
            Assert.Equal($"inet {machine.Address}", lines[4]);
            Assert.InRange(long.Parse(lines[5]), DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 5, DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 5);
            seen.AddRange([.. lines[2..4], lines[6]]);
            var count = await CountAsync(machine);
            await Task.Delay(300, CancellationToken.None);
            Assert.True(await CountAsync(machine) > count, $"{machine.Spec.Name} does not go on.");
        }

        Assert.Equal(seen.Count, seen.Distinct().Count());
        await Task.WhenAll(machines.Select(machine => machine.StopAsync(TimeSpan.Zero, CancellationToken.None)));
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Snapshot_OnAnother_IsSmallAndGoesOnWhereItWas()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync(Counting);
        var whole = await machine.SnapshotAsync(Snapshot, CancellationToken.None);
        _ = await TestHost.RunAsync(machine, "echo later > /mark");
        var second = await machine.SnapshotAsync(Path.Combine(_folder, "two"), Snapshot, CancellationToken.None);
        Assert.Equal(Snapshot, second.Parent);
        Assert.True(second.Bytes < whole.Bytes * 2 / 3, $"{second.Bytes} of {whole.Bytes} bytes");
        TestContext.Current.SendDiagnosticMessage("{0} bytes on {1}", second.Bytes, whole.Bytes);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);

        var restored = await test.Host.RestoreAsync(second.Folder, null, CancellationToken.None);
        MachineHostTests.AssertNotFavored(test, restored);
        Assert.Equal("later", (await TestHost.RunAsync(restored, "cat /mark")).Output);
        var third = await restored.SnapshotAsync(Path.Combine(_folder, "three"), second.Folder, CancellationToken.None);
        Assert.Equal("later", (await TestHost.RunAsync(await test.Host.RestoreAsync(third.Folder, null, CancellationToken.None), "cat /mark")).Output);

        Assert.Contains("beside", (await Assert.ThrowsAsync<MachineException>(() => restored.SnapshotAsync("/tmp/elsewhere", third.Folder, CancellationToken.None))).Message, StringComparison.Ordinal);
        // What is gone below is missed above.
        Directory.Move(Snapshot, Snapshot + "-gone");
        Assert.Contains("one", (await Assert.ThrowsAsync<MachineException>(() => test.Host.RestoreAsync(third.Folder, null, CancellationToken.None))).Message, StringComparison.Ordinal);
        await Task.WhenAll(test.Host.Machines.Select(m => m.StopAsync(TimeSpan.Zero, CancellationToken.None)));
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Snapshot_OfARestoredMachine_HasWhatThatWroteAndNobodyElseDoes()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync(Counting);
        _ = await machine.SnapshotAsync(Snapshot, CancellationToken.None);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        var (one, two) = (await test.Host.RestoreAsync(Snapshot, null, CancellationToken.None), await test.Host.RestoreAsync(Snapshot, null, CancellationToken.None));
        // In memory alone, more than one granule, and beside it what was there.
        _ = await TestHost.RunAsync(one, "head -c 3000000 /dev/urandom > /dev/shm/written; rm /dev/shm/taken; md5sum < /dev/shm/written > /dev/shm/sum");
        var expected = (await TestHost.RunAsync(one, "cat /dev/shm/sum")).Output;
        var second = await one.SnapshotAsync(Path.Combine(_folder, "two"), CancellationToken.None);

        Assert.Equal("none", (await TestHost.RunAsync(two, "cat /dev/shm/sum || echo none")).Output.Split('\n')[^1]);
        for (var i = 0; i < 2; i++)
        {
            var again = await test.Host.RestoreAsync(second.Folder, null, CancellationToken.None);
            Assert.Equal(expected, (await TestHost.RunAsync(again, "md5sum < /dev/shm/written")).Output);
            Assert.True(await CountAsync(again) > 0);
        }

        await Task.WhenAll(test.Host.Machines.Select(m => m.StopAsync(TimeSpan.Zero, CancellationToken.None)));
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Restore_WithTwoNetworks_HasAnAddressOfItsOwnInEach()
    {
        await using var test = await TestHost.OpenAsync();
        _ = await test.Host.CreateNetworkAsync("me", "back", 5, CancellationToken.None);
        var machine = await test.StartAsync(Counting, spec => spec with { Owner = "me", Networks = [new NetworkCard(NetworkCard.Default), new NetworkCard("back")] });
        _ = await machine.SnapshotAsync(Snapshot, CancellationToken.None);
        var clone = await test.Host.RestoreAsync(Snapshot, null, CancellationToken.None);

        Assert.Equal(4, machine.Addresses.Concat(clone.Addresses).Distinct().Count());
        var cards = (await TestHost.RunAsync(clone, "ip -4 -o addr | grep -o 'eth.*inet [0-9.]*' | sed 's/ *inet//'")).Output;
        Assert.Equal($"eth0 {clone.Addresses[0]}\neth1 {clone.Addresses[1]}", cards);
        var pinged = await TestHost.RunAsync(clone, $"ping -c 1 -w 5 {machine.Addresses[1]} >/dev/null && echo reached");
        Assert.Equal("reached", pinged.Output);

        await Task.WhenAll(test.Host.Machines.Select(m => m.StopAsync(TimeSpan.Zero, CancellationToken.None)));
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Restore_WhatCannotBe_IsRefusedAndLeavesNothing()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync(Counting);
        _ = await machine.SnapshotAsync(Snapshot, CancellationToken.None);
        Assert.Contains("is there already", (await Assert.ThrowsAsync<MachineException>(() => machine.SnapshotAsync(Snapshot, CancellationToken.None))).Message, StringComparison.Ordinal);
        using (var canceled = new CancellationTokenSource(TimeSpan.FromMilliseconds(40)))
            _ = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => machine.SnapshotAsync(Snapshot + "-canceled", canceled.Token));
        Assert.Equal(["one"], Directory.EnumerateDirectories(_folder).Select(Path.GetFileName));
        Assert.Equal(MachineState.Running, machine.State);
        var count = await CountAsync(machine);
        await Task.Delay(300, CancellationToken.None);
        Assert.True(await CountAsync(machine) > count, "The refused or canceled snapshot left the machine still.");
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);

        Assert.Contains("memory", (await Refused(spec => spec with { MemoryMiB = 128 })).Message, StringComparison.Ordinal);
        foreach (var name in new[] { "memory", "devices", "disk" })
        {
            var path = Path.Combine(Snapshot, name);
            var place = new FileInfo(path).Length / 2;
            var old = Flip(path, place);
            var refused = await Refused(null);
            Assert.Contains($"'{name}' is not what was saved", refused.Message, StringComparison.Ordinal);
            Write(path, place, old);
        }

        var sums = Path.Combine(Snapshot, "qemu.json");
        var text = await File.ReadAllTextAsync(sums, CancellationToken.None);
        await File.WriteAllTextAsync(sums, text[..(text.Length / 2)], CancellationToken.None);
        Assert.Contains("not complete", (await Refused(null)).Message, StringComparison.Ordinal);
        _ = await Assert.ThrowsAsync<SnapshotException>(() => test.Host.RestoreAsync(_folder, null, CancellationToken.None));
        Assert.Empty(await test.LeftoversAsync());

        Task<MachineException> Refused(Func<MachineSpec, MachineSpec>? change) =>
            Assert.ThrowsAsync<MachineException>(() => test.Host.RestoreAsync(Snapshot, change, CancellationToken.None));
    }

    [Fact]
    public async Task Restore_MemoryIsDamaged_BootsWithTheSavedDisk()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync(Counting);
        Assert.Equal(0, (await TestHost.RunAsync(machine, "echo kept >/mark; sync")).Exit.ExitCode);
        _ = await machine.SnapshotAsync(Snapshot, CancellationToken.None);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        var main = TestHost.Shell("echo again; sleep 1000");

        machine = await test.Host.RestoreAsync(Snapshot, null, main, CancellationToken.None);
        Assert.Null(machine.BootedInstead);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);

        var path = Path.Combine(Snapshot, "memory");
        _ = Flip(path, new FileInfo(path).Length / 2);
        machine = await test.Host.RestoreAsync(Snapshot, null, main, CancellationToken.None);
        Assert.Contains("'memory' is not what was saved", machine.BootedInstead, StringComparison.Ordinal);
        Assert.Equal("kept", (await TestHost.RunAsync(machine, "cat /mark")).Output);
        await foreach (var line in MachineHostTests.LinesAsync(machine, 0))
        {
            Assert.Equal("again", line);
            break;
        }

        await test.ReopenAsync();
        Assert.Contains("'memory'", Assert.Single(test.Host.Machines).BootedInstead, StringComparison.Ordinal);
        await Assert.Single(test.Host.Machines).StopAsync(TimeSpan.Zero, CancellationToken.None);

        // Of a disk there is nothing else to take.
        path = Path.Combine(Snapshot, "disk");
        _ = Flip(path, new FileInfo(path).Length / 2);
        Assert.Contains("'disk'", (await Assert.ThrowsAsync<MachineException>(() => test.Host.RestoreAsync(Snapshot, null, main, CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Restore_MemoryIsDamagedAndNothingRan_BootsWithTheSavedDisk()
    {
        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync(null);
        Assert.Equal(0, (await TestHost.RunAsync(machine, "echo kept >/mark; sync")).Exit.ExitCode);
        _ = await machine.SnapshotAsync(Snapshot, CancellationToken.None);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        var path = Path.Combine(Snapshot, "memory");
        _ = Flip(path, new FileInfo(path).Length / 2);

        _ = await Assert.ThrowsAsync<MachineException>(() => test.Host.RestoreAsync(Snapshot, null, CancellationToken.None));
        machine = await test.Host.RestoreAsync(Snapshot, null, null, CancellationToken.None);
        Assert.NotNull(machine.BootedInstead);
        Assert.Equal("kept", (await TestHost.RunAsync(machine, "cat /mark")).Output);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Empty(await test.LeftoversAsync());
    }

    private static byte Flip(string path, long place)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        Span<byte> one = [0];
        _ = RandomAccess.Read(file, one, place);
        var old = one[0];
        RandomAccess.Write(file, [(byte)~old], place);
        return old;
    }

    private static void Write(string path, long place, byte value)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.Write(file, [value], place);
    }

    private static async Task<int> CountAsync(Machine machine) =>
        int.Parse((await TestHost.RunAsync(machine, "until [ -e /count ]; do sleep 0.05; done; cat /count")).Output);
}
