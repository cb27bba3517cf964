using System.Net;
using System.Security.Cryptography;
using NanoVms.Agent;

namespace NanoVms.Tests.Agent;

/// <summary>Freeze and thaw in a real guest, and real clones of it.</summary>
public sealed class GuestFreezeTests
{
    private static readonly GuestNetwork Network =
        new(IPAddress.Parse("10.0.2.15"), 24, IPAddress.Parse("10.0.2.2"), IPAddress.Parse("10.0.2.3"), 1400);

    [Fact]
    public async Task FreezeAsync_ThenClones_EachGoesOnAsAnother()
    {
        var cancel = Cancel.After(120);
        await using var guest = await BootedGuest.StartAsync(cancel);
        await using var connection = await AgentConnection.ConnectAsync(await guest.OpenStreamAsync(cancel), cancel);
        await connection.ConfigureAsync(Config(), cancel);
        Assert.Equal("", await RunAsync(connection, "echo 0123456789abcdef0123456789abcdef > /etc/machine-id"));
        await connection.StartMainAsync(
            AgentConnectionTests.Shell("i=0; while :; do i=$((i+1)); echo $i; echo $i > /count; read r < /proc/sys/kernel/random/uuid; sleep 0.05; done"), cancel);
        var boot = (await RunAsync(connection, "cat /proc/sys/kernel/random/boot_id")).Trim();

        // A limit that nobody waits for: the guest goes on by itself.
        await connection.FreezeAsync(TimeSpan.FromSeconds(1), cancel);
        var still = await CountAsync(connection, cancel);
        while (await CountAsync(connection, cancel) <= still + 10)
            await Task.Delay(50, cancel);
        Assert.Equal("ok\n", await RunAsync(connection, "echo ok > /tmp/after && cat /tmp/after"));

        await connection.FreezeAsync(TimeSpan.FromMinutes(5), cancel);
        still = await CountAsync(connection, cancel);
        Assert.Contains("frozen", (await Assert.ThrowsAsync<AgentException>(() => RunAsync(connection, "true"))).Message, StringComparison.Ordinal);
        await Task.Delay(300, cancel);
        Assert.Equal(still, await CountAsync(connection, cancel));
        await guest.SaveAsync(cancel);

        var seen = new HashSet<string> { boot, "0123456789abcdef0123456789abcdef" };
        for (var i = 0; i < 2; i++)
            await AssertCloneAsync(guest, i, still, seen, cancel);
    }

    private static async Task AssertCloneAsync(BootedGuest origin, int number, long still, HashSet<string> seen, CancellationToken cancel)
    {
        await using var clone = await origin.CloneAsync(cancel);
        await using var connection = await AgentConnection.ConnectAsync(await clone.OpenStreamAsync(cancel), cancel);
        Assert.Equal(MainState.Running, connection.Info.Main);
        Assert.Equal(still, await CountAsync(connection, cancel));
        var now = new DateTimeOffset(2033, 4, 5 + number, 6, 7, 8, TimeSpan.Zero);
        await connection.ThawAsync(
            new ThawConfig
            {
                UtcNow = now,
                RandomSeed = RandomNumberGenerator.GetBytes(64),
                Network = Network with { Address = IPAddress.Parse($"10.0.2.{40 + number}") },
                MacAddress = $"02:42:0a:00:02:{40 + number:x2}",
                Hostname = $"clone-{number}",
                NewIdentity = true,
            },
            cancel);
        while (await CountAsync(connection, cancel) <= still)
            await Task.Delay(20, cancel);
        var addresses = await RunAsync(connection, "ip addr show eth0; ip route; hostname; cat /etc/hosts");
        Assert.Contains($"inet 10.0.2.{40 + number}/24", addresses, StringComparison.Ordinal);
        Assert.DoesNotContain("10.0.2.15", addresses, StringComparison.Ordinal);
        Assert.Contains($"link/ether 02:42:0a:00:02:{40 + number:x2}", addresses, StringComparison.Ordinal);
        Assert.Contains("default via 10.0.2.2 dev eth0", addresses, StringComparison.Ordinal);
        Assert.Contains($"\nclone-{number}\n", addresses, StringComparison.Ordinal);
        Assert.Contains("10.9.8.7\tdb.internal", addresses, StringComparison.Ordinal);
        Assert.Equal("0", (await RunAsync(connection, "cat /sys/fs/cgroup/nanovms.frozen/cgroup.freeze")).Trim());

        // Clock, randomness and the numbers that no two guests may share.
        await connection.RunAsync(AgentConnectionTests.Shell("echo x"), chunk => Assert.InRange(chunk.Time, now, now.AddMinutes(1)), cancel);
        foreach (var file in (string[])["/etc/machine-id", "/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/random/uuid"])
            Assert.True(seen.Add((await RunAsync(connection, $"cat {file}")).Trim()), file);
        Assert.Equal("kept", (await RunAsync(connection, "echo kept > /new; cat /new")).Trim());
    }

    private static GuestConfig Config() => new()
    {
        Hostname = "origin",
        LayerDevices = ["base", "app"],
        DiskDevice = "disk",
        Network = Network,
        Hosts = new Dictionary<string, string> { ["db.internal"] = "10.9.8.7" },
        UtcNow = new DateTimeOffset(2031, 2, 3, 4, 5, 6, TimeSpan.Zero),
        RandomSeed = RandomNumberGenerator.GetBytes(64),
    };

    /// <summary>How far the main process is: it never stops writing.</summary>
    private static async Task<long> CountAsync(AgentConnection connection, CancellationToken cancel) =>
        (await connection.GetServicesAsync(cancel)).Single().OutputBytes;

    private static async Task<string> RunAsync(AgentConnection connection, string script) =>
        await AgentConnectionTests.ReadAllAsync(connection, AgentConnectionTests.Shell(script));
}
