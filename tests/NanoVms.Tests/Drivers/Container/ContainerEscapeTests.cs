using System.Globalization;
using NanoVms.Machines;
using NanoVms.Tests.Agent;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Drivers.Container;

/// <summary>What root in a container tries, and does not get.</summary>
[Collection(nameof(MachineHostTests))]
public sealed class ContainerEscapeTests
{
    /// <summary>CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE.</summary>
    private const string Capabilities = "00000000000004fb";

    private static readonly string[] Attempts =
    [
        "mount -t tmpfs none /tmp",
        "mount -o remount,rw /proc/sys",
        "mount -t proc proc /tmp",
        "unshare -U true",
        "nsenter -t 1 -m true",
        "mknod /tmp/disk b 254 0",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo core > /proc/sys/kernel/core_pattern",
        "echo c > /proc/sysrq-trigger",
        "echo 1 > /sys/fs/cgroup/memory/memory.limit_in_bytes",
        "echo max > /sys/fs/cgroup/memory.max",
        "echo x > /dev/.nanovms-agent",
        "dmesg",
        "test -s /proc/kcore",
        "test -s /proc/kallsyms",
        "test -e /dev/vda -o -e /dev/sda -o -e /dev/loop0 -o -e /dev/kmsg -o -e /dev/mem -o -e /dev/kvm",
        "hostname other",
        "ip link set eth0 down",
        "ip addr add 10.202.0.99/32 dev eth0",
        "adjtimex -t 9000",
        "chroot / true",
        "reboot -f",
        "swapon /dev/zero",
        "insmod /bin/busybox",
        "ping -c 1 -W 1 127.0.0.1",
    ];

    [Fact]
    public async Task Root_OfAContainer_HasFewRightsAndSeesOnlyItself()
    {
        await using var test = await TestHost.OpenAsync(await AgentBinary.PathAsync);
        var machine = await test.StartAsync("sleep 1000", spec => spec with { Driver = "container" });

        var status = await TextAsync(machine, "cat /proc/self/status");
        foreach (var set in new[] { "CapPrm", "CapEff", "CapBnd" })
            Assert.Contains($"{set}:\t{Capabilities}", status, StringComparison.Ordinal);
        foreach (var none in new[] { "CapInh", "CapAmb" })
            Assert.Contains($"{none}:\t0000000000000000", status, StringComparison.Ordinal);
        Assert.Contains("NoNewPrivs:\t1", status, StringComparison.Ordinal);
        Assert.Contains("Seccomp:\t2", status, StringComparison.Ordinal);

        // Users: root inside is nobody of importance outside.
        var outside = await File.ReadAllTextAsync(test.Processes().Single() + "/status");
        var user = uint.Parse(outside.Split('\n').First(line => line.StartsWith("Uid:", StringComparison.Ordinal)).Split('\t')[1], CultureInfo.InvariantCulture);
        Assert.InRange(user, 524_288u, 1_879_048_191u);

        // Processes: the agent, the main one and what asks.
        var processes = (await TextAsync(machine, "echo /proc/[0-9]*")).Split(' ');
        Assert.InRange(processes.Length, 3, 4);
        Assert.StartsWith("/dev/.nanovms-agent", await TextAsync(machine, "cat /proc/1/cmdline"), StringComparison.Ordinal);

        // Files: its own root and nothing of the computer's.
        var mounts = (await File.ReadAllTextAsync(test.Processes().Single() + "/mountinfo")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.DoesNotContain(mounts, line => line.Contains(test.Options.Folder, StringComparison.Ordinal));
        Assert.NotEqual(0, await CodeAsync(machine, $"cat {test.Options.Folder}/machines/{machine.Id}/machine.json"));

        // Descriptors: the console thrice and what the agent opened itself.
        foreach (var file in Directory.EnumerateFiles(test.Processes().Single() + "/fd"))
            Assert.Matches("^(/dev/u?random|/dev/null|anon_inode:|socket:|pipe:|/$|/dev/\\.nanovms-agent|.*/console)", new FileInfo(file).LinkTarget);
        Assert.Equal("0 1 2 3", await TextAsync(machine, "cd /proc/self/fd; echo *"));
    }

    [Fact]
    public async Task Root_OfAContainer_IsRefusedAllThatChangesTheComputer()
    {
        await using var test = await TestHost.OpenAsync(await AgentBinary.PathAsync);
        var machine = await test.StartAsync("sleep 1000", spec => spec with { Driver = "container" });
        foreach (var attempt in Attempts)
        {
            // By the name of busybox: the layer has links for a few of its programs only.
            var (exit, output) = await TestHost.RunAsync(machine, attempt.StartsWith("echo ", StringComparison.Ordinal) ? attempt : $"busybox {attempt}");
            Assert.True(exit.ExitCode is > 0, $"{attempt}: {exit.Reason} {output}");
            Assert.DoesNotContain("applet not found", output, StringComparison.Ordinal);
        }

        Assert.Equal("alive", await TextAsync(machine, "echo alive"));
    }

    private static async Task<string> TextAsync(Machine machine, string script) => (await TestHost.RunAsync(machine, script)).Output;

    private static async Task<int?> CodeAsync(Machine machine, string script) => (await TestHost.RunAsync(machine, script)).Exit.ExitCode;
}
