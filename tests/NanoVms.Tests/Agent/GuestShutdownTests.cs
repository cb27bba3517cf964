using System.Net;
using System.Security.Cryptography;
using System.Text;
using NanoVms.Agent;
using NanoVms.Machines;

namespace NanoVms.Tests.Agent;

/// <summary>The end of a real guest with hooks, and its read-only root.</summary>
public sealed class GuestShutdownTests
{
    private const int Sigquit = 3;

    [Fact]
    public async Task ShutdownAsync_HooksAndMain_EndInOrderAndDisksAreWhole()
    {
        var cancel = Cancel.After(90);
        await using var guest = await BootedGuest.StartAsync(cancel);
        await using (var connection = await AgentConnection.ConnectAsync(await guest.OpenStreamAsync(cancel), cancel))
        {
            await connection.ConfigureAsync(Config(), cancel);
            await AssertRootAsync(connection);
            await connection.StartMainAsync(
                AgentConnectionTests.Shell("trap 'echo main ends >> /mnt/log; echo bye; exit 4' QUIT; echo up; while :; do sleep 0.1; done"), cancel);
            await connection.StartServiceAsync("other", AgentConnectionTests.Shell("trap 'echo other ends >> /mnt/log; exit' TERM; while :; do sleep 0.1; done"), cancel);
            await using var main = await connection.AttachAsync("main", 0, cancel);
            var output = new StringBuilder();
            await foreach (var chunk in main.ReadOutputAsync(cancel))
            {
                output.Append(chunk.IsError ? "" : Encoding.UTF8.GetString(chunk.Data.Span));
                if (!chunk.IsError && output.ToString() == "up\n")
                    await connection.ShutdownAsync(TimeSpan.FromSeconds(20), Sigquit, cancel);
            }

            Assert.Equal("up\nbye\n", output.ToString());
            Assert.Equal(4, (await main.Exited).ExitCode);
            var failure = await Record.ExceptionAsync(() => RunAsync(connection, "true"));
            Assert.IsType<AgentException>(failure);
            await guest.WaitForExitAsync(cancel);
        }

        // The volume was written to its end and was left clean.
        Assert.Equal(
            "first hook, main runs: up\nsecond hook\nmain ends\nother ends\n", await guest.ReadVolumeAsync("log", cancel));
    }

    private static async Task AssertRootAsync(AgentConnection connection)
    {
        Assert.Equal(
            "read-only\nok\n", await RunAsync(connection, "(echo x > /new) 2>/dev/null || echo read-only; echo ok > /tmp/x && cat /tmp/x; mkdir -p /run/a/b"));
        Assert.Contains("sealed", await RunAsync(connection, "hostname; cat /etc/hostname"), StringComparison.Ordinal);

        // A thaw writes names, and closes the root again.
        await connection.ThawAsync(
            new ThawConfig { UtcNow = DateTimeOffset.UtcNow, RandomSeed = RandomNumberGenerator.GetBytes(32), Hostname = "renamed" }, Cancel.After(20));
        Assert.Equal(
            "renamed\nread-only\n", await RunAsync(connection, "cat /etc/hostname; (echo x > /new) 2>/dev/null || echo read-only"));
        Assert.Equal("", await RunAsync(connection, "mkdir -p /tmp/v && mount -t ext4 /dev/nanovms/data /tmp/v && mount --bind /tmp/v /mnt"));
    }

    private static GuestConfig Config() => new()
    {
        Hostname = "sealed",
        LayerDevices = ["base", "app"],
        DiskDevice = "disk",
        Drives = new Dictionary<string, string> { ["data"] = "volume" },
        Network = new GuestNetwork(IPAddress.Parse("10.0.2.15"), 24, null, null, 1500),
        ReadOnlyRoot = true,
        BeforeShutdown =
        [
            new HookSpec(AgentConnectionTests.Shell("echo first hook, main runs: $(ps -eo args | grep -q 'main ends' && echo up) >> /mnt/log"), TimeSpan.FromSeconds(10)),
            new HookSpec(new ProcessSpec { Command = ["no-such-program"] }, TimeSpan.FromSeconds(10)),
            new HookSpec(AgentConnectionTests.Shell("echo second hook >> /mnt/log; sleep 1000"), TimeSpan.FromSeconds(4)),
        ],
        UtcNow = DateTimeOffset.UtcNow,
        RandomSeed = RandomNumberGenerator.GetBytes(64),
    };

    private static async Task<string> RunAsync(AgentConnection connection, string script) =>
        await AgentConnectionTests.ReadAllAsync(connection, AgentConnectionTests.Shell(script));
}
