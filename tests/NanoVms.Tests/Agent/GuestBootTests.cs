using System.Net;
using System.Security.Cryptography;
using System.Text;
using NanoVms.Agent;
using NanoVms.Images;
using NanoVms.Machines;

namespace NanoVms.Tests.Agent;

public sealed class GuestBootTests
{
    // A microvm has no PCI bus, which the kernel calls fatal; and a shutdown is a restart that QEMU does not do.
    private static readonly string[] NormalLines = ["PCI: Fatal: No config space", "reboot: Restarting system"];

    [Fact]
    public async Task Boot_RealGuest_BecomesWhatTheHostDescribes()
    {
        var cancel = Cancel.After(90);
        await using var guest = await BootedGuest.StartAsync(cancel);
        await using (var connection = await AgentConnection.ConnectAsync(await guest.OpenStreamAsync(cancel), cancel))
        {
            Assert.Equal((await new ImageStore().GetKernelAsync(null, cancel)).Release, connection.Info.KernelRelease);
            Assert.False(connection.Info.IsConfigured);
            await connection.ConfigureAsync(Config(), cancel);
            await AssertRootAsync(connection);
            await AssertNamesAsync(connection);
            await AssertNetworkAsync(connection);
            await AssertDisksAsync(connection);
            await AssertProcessesAsync(connection);
            var environment = new Dictionary<string, string> { ["V"] = "a 'b' \"c\" $d\n\\e" };
            await connection.StartMainAsync(new ProcessSpec
            {
                Command = ["sh", "-c", "printf '%s' \"$V\"; id -u; trap 'echo bye; exit 3' TERM; echo ready; exec 2>/dev/null; while :; do sleep 0.1; done"],
                Environment = environment,
                User = 1000,
                Group = 1000,
            }, cancel);
        }

        // A host that vanishes in the middle of a frame, and one that takes its place.
        await using (var cut = await guest.OpenStreamAsync(cancel))
            await cut.WriteAsync(new byte[] { 40, 1, 2, 3, 4 }, cancel);
        await using var again = await AgentConnection.ConnectAsync(await guest.OpenStreamAsync(cancel), cancel);
        Assert.True(again.Info.IsConfigured);
        Assert.Equal(MainState.Running, again.Info.Main);
        var text = "";
        await foreach (var chunk in again.ReadMainOutputAsync(0, cancel))
        {
            text += Encoding.UTF8.GetString(chunk.Data.Span);
            if (text.EndsWith("ready\n", StringComparison.Ordinal))
                await again.SignalMainAsync(15, cancel);
        }

        Assert.Equal("a 'b' \"c\" $d\n\\e1000\nready\nbye\n", text);
        Assert.Equal(3, (await again.MainExited.WaitAsync(cancel)).ExitCode);
        await again.ShutdownAsync(cancel);
        await guest.WaitForExitAsync(cancel);
        var console = await File.ReadAllLinesAsync(guest.ConsolePath, cancel);
        Assert.DoesNotContain(console, line => !NormalLines.Any(line.Contains));
    }

    private static GuestConfig Config() => new()
    {
        Hostname = "first-guest",
        LayerDevices = ["base", "app"],
        DiskDevice = "disk",
        Drives = new Dictionary<string, string> { ["data"] = "volume" },
        Network = new GuestNetwork(IPAddress.Parse("10.0.2.15"), 24, IPAddress.Parse("10.0.2.2"), IPAddress.Parse("10.0.2.3"), 1400),
        Hosts = new Dictionary<string, string> { ["db.internal"] = "10.9.8.7" },
        CaBundle = string.Concat(Enumerable.Repeat("certificate\n", 20_000)),
        UtcNow = new DateTimeOffset(2031, 2, 3, 4, 5, 6, TimeSpan.Zero),
        RandomSeed = RandomNumberGenerator.GetBytes(64),
    };

    private static async Task AssertRootAsync(AgentConnection connection)
    {
        Assert.Equal("hello from the upper layer\n", await RunAsync(connection, "cat /app/hello"));
        Assert.Contains("overlay on / type overlay (rw,", await RunAsync(connection, "mount"), StringComparison.Ordinal);
        Assert.Equal("written\n", await RunAsync(connection, "echo written > /app/new && cat /app/new"));
        Assert.Equal("ok", await RunAsync(connection, "test -w /dev/null -a -r /dev/urandom -a -e /dev/ptmx -a -d /dev/shm -a -d /run && printf ok"));
        Assert.Equal("1777\n", await RunAsync(connection, "stat -c %a /tmp"));
        Assert.Equal("65536\n", await RunAsync(connection, "ulimit -n"));
    }

    private static async Task AssertNamesAsync(AgentConnection connection)
    {
        Assert.Equal("first-guest\n", await RunAsync(connection, "hostname"));
        Assert.Equal(
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n10.0.2.15\tfirst-guest\n10.9.8.7\tdb.internal\n",
            await RunAsync(connection, "cat /etc/hosts"));
        Assert.StartsWith("nameserver 10.0.2.3\n", await RunAsync(connection, "cat /etc/resolv.conf"), StringComparison.Ordinal);
        Assert.Equal("240000\n", await RunAsync(connection, "stat -c %s /etc/ssl/certs/ca-certificates.crt"));
        await RunAsync(connection, "dd if=/dev/zero of=/tmp/written bs=1M count=4; rm /tmp/written; dd if=/dev/nanovms/data of=/dev/null bs=64k count=16");
        var stats = await connection.GetStatsAsync(Cancel.After(30));
        Assert.Equal(1, stats.Processors);
        Assert.InRange(stats.Processes, 1, 6);
        Assert.InRange(stats.DiskRead, 1 << 20, 64 << 20);
        Assert.InRange(stats.Load1, 0, 10);
        Assert.InRange(stats.MemoryCached, 1 << 20, 128 << 20);
        Assert.InRange(stats.DiskTotal, 40 << 20, 64 << 20);
        Assert.InRange(stats.MemoryTotal, 180L << 20, 256L << 20);
        Assert.InRange(stats.Uptime, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(2));
    }

    private static async Task AssertNetworkAsync(AgentConnection connection)
    {
        var addresses = await RunAsync(connection, "ip addr");
        Assert.Contains("inet 10.0.2.15/24", addresses, StringComparison.Ordinal);
        Assert.Contains("mtu 1400", addresses, StringComparison.Ordinal);
        Assert.Contains("inet 127.0.0.1/8", addresses, StringComparison.Ordinal);
        Assert.Contains("inet6 ::1/128", addresses, StringComparison.Ordinal);
        Assert.DoesNotContain("fe80", addresses, StringComparison.Ordinal);
        Assert.Contains("default via 10.0.2.2 dev eth0", await RunAsync(connection, "ip route"), StringComparison.Ordinal);
    }

    private static async Task AssertDisksAsync(AgentConnection connection)
    {
        Assert.Equal("kept\n", await RunAsync(
            connection, "cat /dev/nanovms/data | head -c 65536 | sha256sum >/dev/null && mount /dev/nanovms/data /mnt && echo kept > /mnt/f && cat /mnt/f"));
        var hash = await RunAsync(connection, "dd if=/dev/urandom of=/tmp/big bs=1M count=8 2>/dev/null; sha256sum < /tmp/big");
        Assert.Equal(hash, await RunAsync(connection, "echo 3 > /proc/sys/vm/drop_caches; sha256sum < /tmp/big"));
        var output = new MemoryStream();
        await connection.RunAsync(new ProcessSpec { Command = ["cat", "/tmp/big"] }, chunk => output.Write(chunk.Data.Span), Cancel.After(60));
        Assert.StartsWith(Convert.ToHexStringLower(SHA256.HashData(output.ToArray())), hash, StringComparison.Ordinal);
    }

    private static async Task AssertProcessesAsync(AgentConnection connection)
    {
        // Orphans come to the first process, which collects them.
        Assert.Equal("", await RunAsync(connection, "sh -c 'sh -c \"sleep 0.2\" & exec sleep 0' ; sleep 0.5; ps -eo stat | { while read s; do case $s in Z*) echo $s;; esac; done; }"));
        var spec = AgentConnectionTests.Shell("ulimit -n; id -u; id -G; [ -t 0 ] && echo terminal; ls -l /proc/self/fd/0") with
        {
            Account = "1000:5",
            Limits = [new ResourceLimit(ResourceKind.OpenFiles, 200_000, 300_000)],
            Terminal = new TerminalSize(80, 25),
        };
        Assert.StartsWith("200000\r\n1000\r\n5\r\nterminal\r\n", await AgentConnectionTests.ReadAllAsync(connection, spec), StringComparison.Ordinal);
        var exit = await connection.RunAsync(new ProcessSpec { Command = ["sh", "-c", "kill -11 $$"] }, null, Cancel.After(30));
        Assert.Equal(11, exit.Signal);
    }

    private static async Task<string> RunAsync(AgentConnection connection, string script)
    {
        var output = new StringBuilder();
        await connection.RunAsync(
            AgentConnectionTests.Shell(script), chunk => output.Append(Encoding.UTF8.GetString(chunk.Data.Span)), Cancel.After(30));
        return output.ToString();
    }
}
