using System.Globalization;
using NanoVms.Commands;
using NanoVms.Machines;
using NanoVms.Network;
using NanoVms.Tests.Agent;

namespace NanoVms.Tests.Machines;

/// <summary>Networks of an owner's own, with real guests of two drivers in them.</summary>
[Collection(nameof(MachineHostTests))]
public sealed class PrivateNetworkTests
{
    private const string Serving = "while true; do cat /etc/hostname | nc -l -p 8080; done";

    [Fact]
    public async Task Router_IsTheOnlyWayOutOfItsNetwork()
    {
        await using var test = await TestHost.OpenAsync(await AgentBinary.PathAsync);
        var inner = await test.Host.CreateNetworkAsync("team", "inner", 4, CancellationToken.None);
        var others = await test.Host.CreateNetworkAsync("other", "inner", 4, CancellationToken.None);
        var gate = test.Host.PrefixOf(inner).At(1).ToString();
        var db = await StartAsync(test, "db", "team", "container", new NetworkCard("inner"));
        var lone = await StartAsync(test, "lone", "other", "container", new NetworkCard("inner"));
        Assert.Equal(test.Host.PrefixOf(inner).At(2), db.Address);
        Assert.Equal(test.Host.PrefixOf(others).At(2), lone.Address);

        // Alone it reaches nobody: not the host, not the world, not another owner's network of the same name.
        var outside = await StartAsync(test, "outside", "team", "container", new NetworkCard("default"));
        var gateway = (await TestHost.RunAsync(outside, "busybox ip route | busybox awk '/^default/{print $3}'")).Output;
        Assert.True(await ReachesAsync(outside, gateway, 53));
        Assert.False(await ReachesAsync(db, gateway, 53));
        Assert.False(await ReachesAsync(db, lone.Address!.ToString(), 8080));

        // A router with kernel of its own, that is in both networks, in the order of its specification.
        var router = await StartAsync(test, "router", "team", "qemu", new NetworkCard("default"), new NetworkCard("inner", IsRouter: true));
        Assert.Equal(gate, router.Addresses[1].ToString());
        Assert.Equal($"{router.Addresses[0]} {gate}", await AddressesAsync(router));
        Assert.True(await ReachesAsync(router, db.Address!.ToString(), 8080));
        Assert.True(await ReachesAsync(db, gateway, 53));
        Assert.False(await ReachesAsync(lone, gateway, 53));
        Assert.Contains($"{db.Address}\tdb.internal", (await TestHost.RunAsync(router, "cat /etc/hosts")).Output, StringComparison.Ordinal);
        var second = await Assert.ThrowsAsync<MachineException>(() => StartAsync(test, "second", "team", "container", new NetworkCard("default"), new NetworkCard("inner", IsRouter: true)));
        Assert.Contains("has a router already", second.Message, StringComparison.Ordinal);

        // Also from a guest with a kernel of its own, to the world and back.
        var web = await StartAsync(test, "web", "team", "qemu", new NetworkCard("inner"));
        Assert.True(await ReachesAsync(web, gateway, 53));
        Assert.True(await ReachesAsync(web, db.Address!.ToString(), 8080));
        Assert.NotEqual("", (await TestHost.RunAsync(web, "busybox nslookup debian.org " + gateway + " 2>&1 | busybox tail -n 2")).Output);

        // The host's own machines are no way in, and it is not told others' addresses.
        Assert.False(await ReachesAsync(outside, db.Address!.ToString(), 8080));

        // It works on after a restart of the host, and ends with the router.
        await test.ReopenAsync();
        Assert.True(await ReachesAsync(test.Host.Find(db.Id)!, gateway, 53));
        await test.Host.Find(router.Id)!.StopAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.False(await ReachesAsync(test.Host.Find(db.Id)!, gateway, 53));

        // A network with machines stays.
        var used = await Assert.ThrowsAsync<NetworkException>(() => test.Host.RemoveNetworkAsync("team", "inner", CancellationToken.None));
        Assert.Contains("stop them first", used.Message, StringComparison.Ordinal);
        foreach (var machine in test.Host.Machines)
            await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        await test.Host.RemoveNetworkAsync("team", "inner", CancellationToken.None);
        Assert.Equal(["other"], test.Host.Networks.Select(network => network.Owner));
        Assert.Equal(inner.Index + 1, test.Host.Networks[0].Index);
        Assert.Empty(await test.LeftoversAsync());
        Assert.Equal([$"bp{test.HostId}b01"], Directory.EnumerateFileSystemEntries("/sys/class/net", $"bp{test.HostId}*").Select(Path.GetFileName));
    }

    [Fact]
    public async Task Networks_WrongOrFull_SaySo()
    {
        await using var test = await TestHost.OpenAsync(await AgentBinary.PathAsync);
        _ = await test.Host.CreateNetworkAsync("team", "one", 1, CancellationToken.None);
        foreach (var (name, most, message) in new[] { ("one", 2, "already"), ("two", 1, "the most"), ("default", 9, "is not 1 to 39"), ("A", 9, "is not 1 to 39") })
            Assert.Contains(message, (await Assert.ThrowsAsync<NetworkException>(() => test.Host.CreateNetworkAsync("team", name, most, CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Contains("There is no network 'x'", (await Assert.ThrowsAsync<NetworkException>(() => test.Host.RemoveNetworkAsync("team", "x", CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Contains(
            "byteport network create gone", (await Assert.ThrowsAsync<MachineException>(() => StartAsync(test, "a", "team", "container", new NetworkCard("gone")))).Message, StringComparison.Ordinal);
        foreach (var (card, message) in new[] { (new NetworkCard("one", IsRouter: true), "needs a second network"), (new NetworkCard("default", IsRouter: true), "is the host") })
            Assert.Contains(message, (await Assert.ThrowsAsync<MachineException>(() => StartAsync(test, "a", "team", "container", card))).Message, StringComparison.Ordinal);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Rate_OfAMachine_IsKeptBothWays()
    {
        const int Megabits = 16;
        const int Bytes = 6 << 20;
        await using var test = await TestHost.OpenAsync(await AgentBinary.PathAsync);
        var limit = new RateLimits(Megabits * 1_000_000, Megabits * 1_000_000);
        var slow = await test.StartAsync(null, spec => spec with { Name = "slow", Driver = "container", Group = "g", Rate = limit });
        var fast = await test.StartAsync(null, spec => spec with { Name = "fast", Driver = "container", Group = "g" });
        var least = Bytes * 8.0 / (Megabits * 1e6);
        foreach (var (from, to) in new[] { (slow, fast), (fast, slow) })
        {
            // With its input open: busybox's nc ends with it.
            await using var receiving = await to.ExecAsync(TestHost.Shell("nc -l -p 9000 | busybox wc -c") with { HasInput = true }, CancellationToken.None);
            await Task.Delay(300);
            var began = System.Diagnostics.Stopwatch.GetTimestamp();
            _ = await TestHost.RunAsync(from, string.Create(CultureInfo.InvariantCulture, $"dd if=/dev/zero bs=65536 count={Bytes / 65536} 2>/dev/null | nc {to.Address} 9000"));
            var received = new System.Text.StringBuilder();
            await foreach (var chunk in receiving.ReadOutputAsync(CancellationToken.None))
                received.Append(System.Text.Encoding.ASCII.GetString(chunk.Data.Span));
            Assert.Equal($"{Bytes}", received.ToString().Trim());
            // A second of its rate goes at once where it sends: so the kernel counts.
            Assert.InRange(System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalSeconds, 0.6 * least, 4 * least);
        }

        var rules = await CommandRunner.RunCheckedAsync(new Command("tc", "qdisc", "show"), CancellationToken.None);
        Assert.Contains($"dev bp{test.HostId}-", rules.StandardOutput, StringComparison.Ordinal);
        await slow.StopAsync(TimeSpan.Zero, CancellationToken.None);
        await fast.StopAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Empty(await test.LeftoversAsync());
    }

    private static Task<Machine> StartAsync(TestHost test, string name, string owner, string driver, params NetworkCard[] networks) => test.StartAsync(
        Serving, spec => spec with { Name = name, Owner = owner, Driver = driver, Networks = networks, GroupName = name, Group = networks.Any(card => card.Network == "default") ? "g" : "" });

    private static async Task<bool> ReachesAsync(Machine machine, string address, int port) =>
        (await TestHost.RunAsync(machine, $"echo | nc -w 2 {address} {port} >/dev/null 2>&1")).Exit.ExitCode == 0;

    private static async Task<string> AddressesAsync(Machine machine) =>
        (await TestHost.RunAsync(machine, "for card in eth0 eth1; do busybox ip -4 addr show $card | busybox awk '/inet/{print $2}' | busybox cut -d/ -f1; done")).Output.Replace('\n', ' ');
}
