using System.Collections.Concurrent;
using System.Text;
using NanoVms.Machines;

namespace NanoVms.Tests.Machines;

/// <summary>Real machines that are given files, programs to run, folders and disks that stay.</summary>
[Collection(nameof(MachineHostTests))]
public sealed class MachineSetupTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);
    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-setup-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("qemu")]
    [InlineData("container")]
    public async Task Start_WithSetup_LaysFilesAndRunsBeforeTheMain(string driver)
    {
        Write("config/etc/motd", "hello\n");
        Write("config/etc/secret/key", "s3cret\n");
        _ = Directory.CreateDirectory(Path.Combine(_folder, "config/srv/empty"));
        _ = File.CreateSymbolicLink(Path.Combine(_folder, "config/etc/link"), "motd");
        Write("data/in.txt", "from the host\n");
        await using var test = await TestHost.OpenAsync(Environment.GetEnvironmentVariable("BYTEPORT_AGENT"));
        var data = Path.Combine(_folder, "data");
        var machine = await test.Host.StartAsync(
            await SpecAsync(driver) with
            {
                SharedFolders = [new SharedFolderSpec(data, "/data", new CopyLimits(1 << 20, 100))],
                BeforeShutdown = [new HookSpec(TestHost.Shell("echo bye >/data/bye.txt"), Soon)],
            },
            TestHost.Shell("cat /ready; trap 'exit 3' TERM; while true; do sleep 0.1; done"),
            new MachineSetup
            {
                Folders = [new SetupFolder(Path.Combine(_folder, "config"), "/", new Dictionary<string, UnixFileMode> { ["etc/secret"] = (UnixFileMode)0x1C0, ["etc/secret/key"] = (UnixFileMode)0x180 })],
                OnBoot = [new HookSpec(TestHost.Shell("cat /etc/link /data/in.txt >/ready"), Soon)],
            },
            CancellationToken.None);

        var (exit, output) = await TestHost.RunAsync(machine, "cat /ready; busybox stat -c '%a %u %n' /etc/motd /etc/secret /etc/secret/key /srv/empty /tmp || /bin/busybox stat -c '%a %u %n' /etc/motd /etc/secret /etc/secret/key /srv/empty /tmp");
        Assert.Equal(0, exit.ExitCode);
        Assert.Equal("hello\nfrom the host\n644 0 /etc/motd\n700 0 /etc/secret\n600 0 /etc/secret/key\n755 0 /srv/empty\n1777 0 /tmp", output);

        _ = await TestHost.RunAsync(machine, "echo written >/data/out.txt; rm /data/in.txt");
        await machine.SyncAsync(CancellationToken.None);
        Assert.Equal("written\n", await File.ReadAllTextAsync(Path.Combine(data, "out.txt"), CancellationToken.None));
        Assert.False(File.Exists(Path.Combine(data, "in.txt")));

        await machine.StopAsync(Soon, CancellationToken.None);
        Assert.Equal(3, (await machine.Exited).ExitCode);
        Assert.Equal(["bye.txt", "out.txt"], Directory.EnumerateFileSystemEntries(data).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(["config", "data"], Directory.EnumerateFileSystemEntries(_folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Start_SetupThatFails_SaysWhatItSaidAndLeavesNothing()
    {
        await using var test = await TestHost.OpenAsync(Environment.GetEnvironmentVariable("BYTEPORT_AGENT"));
        var failed = await Assert.ThrowsAsync<MachineException>(async () => await test.Host.StartAsync(
            await SpecAsync("container"), null, new MachineSetup { OnBoot = [new HookSpec(TestHost.Shell("echo no such thing; exit 4"), Soon)] }, CancellationToken.None));
        Assert.Contains("'/bin/sh', which runs at its boot, failed. The process exited with code 4.", failed.Message, StringComparison.Ordinal);
        Assert.Contains("no such thing", failed.Message, StringComparison.Ordinal);

        var slow = await Assert.ThrowsAsync<MachineException>(async () => await test.Host.StartAsync(
            await SpecAsync("container"), null, new MachineSetup { OnBoot = [new HookSpec(TestHost.Shell("sleep 600"), TimeSpan.FromSeconds(1))] }, CancellationToken.None));
        Assert.Contains("did not end in 1 seconds and was killed", slow.Message, StringComparison.Ordinal);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task Sync_MoreThanAllowed_LeavesTheFolderAsItIs()
    {
        var data = Path.Combine(_folder, "data");
        Write("data/kept", "kept");
        await using var test = await TestHost.OpenAsync(Environment.GetEnvironmentVariable("BYTEPORT_AGENT"));
        var machine = await test.Host.StartAsync(
            await SpecAsync("container") with { SharedFolders = [new SharedFolderSpec(data, "/data", new CopyLimits(1 << 20, 100))] }, null, CancellationToken.None);
        _ = await TestHost.RunAsync(machine, "rm /data/kept; dd if=/dev/zero of=/data/big bs=1M count=2");

        await Assert.ThrowsAsync<MachineException>(() => machine.SyncAsync(CancellationToken.None));
        _ = await TestHost.RunAsync(machine, "rm /data/big; echo new >/data/new");
        // Ended at once, it gives nothing back.
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);

        Assert.Equal(["kept"], Directory.EnumerateFileSystemEntries(data).Select(Path.GetFileName));
        Assert.Equal(["data"], Directory.EnumerateFileSystemEntries(_folder).Select(Path.GetFileName));
    }

    [Fact]
    public async Task Start_DiskThatStays_HasWhatWasWritten()
    {
        await using var test = await TestHost.OpenAsync();
        var spec = await SpecAsync("qemu") with { DiskPath = Path.Combine(_folder, "disks/own.raw") };
        var first = await test.Host.StartAsync(spec, null, CancellationToken.None);
        Assert.Equal("", (await TestHost.RunAsync(first, "echo kept >/kept")).Output);
        var taken = await Assert.ThrowsAsync<MachineException>(() => test.Host.StartAsync(spec, null, CancellationToken.None));
        Assert.Contains($"machine {first.Id} has the disk", taken.Message, StringComparison.Ordinal);
        await first.StopAsync(Soon, CancellationToken.None);

        var second = await test.Host.StartAsync(spec, null, CancellationToken.None);
        Assert.Equal("kept", (await TestHost.RunAsync(second, "cat /kept")).Output);
        await second.StopAsync(Soon, CancellationToken.None);
        Assert.True(File.Exists(spec.DiskPath));
        Assert.Empty(await test.LeftoversAsync());
    }

    /// <summary>The whole of a PC: PCI, the console from the first line on, after a restart too.</summary>
    [Fact]
    public async Task Start_Q35WithBootMessages_TellsTheWholeBoot()
    {
        await using var test = await TestHost.OpenAsync();
        var told = new ConcurrentQueue<ConsoleChunk>();
        var machine = await test.Host.StartAsync(
            await SpecAsync("qemu") with { MachineType = MachineType.Q35, BootMessages = true }, TestHost.Shell("sleep 600"), new MachineSetup { OnConsole = told.Enqueue }, CancellationToken.None);

        var live = string.Concat(told.Select(TextOf));
        Assert.Contains("Linux version", live.Split('\n').First(line => line.Contains(']', StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Equal("ok", (await TestHost.RunAsync(machine, "test -d /sys/bus/pci/drivers/virtio-pci && echo ok")).Output);

        await test.ReopenAsync();
        machine = Assert.Single(test.Host.Machines);
        Assert.Equal(live, (await TextAsync(machine))[..live.Length]);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Fact]
    public async Task ReadConsole_GuestThatWritesForEver_KeepsBeginningAndEnd()
    {
        await using var test = await TestHost.OpenAsync(Environment.GetEnvironmentVariable("BYTEPORT_AGENT"));
        var machine = await test.Host.StartAsync(await SpecAsync("qemu") with { MachineType = MachineType.Q35 }, null, CancellationToken.None);
        var (exit, output) = await TestHost.RunAsync(machine, "echo begun >/dev/console; i=0; while [ $i -lt 9 ]; do dd if=/dev/zero of=/dev/console bs=16384 count=1; i=$((i+1)); sleep 0.3; done; echo 'at last' >/dev/console");
        Assert.True(exit.ExitCode == 0, output);
        using var limit = new CancellationTokenSource(Soon);
        var seen = "";
        long bytes = 0;
        await foreach (var chunk in machine.ReadConsoleAsync(0, limit.Token))
        {
            seen += TextOf(chunk).Replace("\0", "", StringComparison.Ordinal);
            bytes += chunk.Data.Length;
            if (seen.Contains("at last", StringComparison.Ordinal))
                break;
        }

        Assert.InRange(bytes, 1, 2 * ConsoleRecord.Kept);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Empty(await test.LeftoversAsync());
    }

    [Theory]
    [InlineData("container")]
    [InlineData("firecracker")]
    public async Task Start_TypeOnAnotherDriver_IsRefused(string driver)
    {
        await using var test = await TestHost.OpenAsync(Environment.GetEnvironmentVariable("BYTEPORT_AGENT"));
        var refused = await Assert.ThrowsAsync<MachineException>(async () =>
            await test.Host.StartAsync(await SpecAsync(driver) with { MachineType = MachineType.Q35 }, null, CancellationToken.None));
        Assert.Contains($"Driver '{driver}' has one type of machine", refused.Message, StringComparison.Ordinal);
    }

    private static async Task<MachineSpec> SpecAsync(string driver) =>
        new() { Name = "test", MemoryMiB = 96, DiskBytes = 64L << 20, Layers = [await TestBoot.Layer], Driver = driver, Network = NetworkMode.None };

    private static async Task<string> TextAsync(Machine machine)
    {
        var text = "";
        for (long next = 0; await machine.PeekConsoleAsync(next, CancellationToken.None) is { } chunk; next = chunk.Next)
            text += TextOf(chunk);
        return text;
    }

    private static string TextOf(ConsoleChunk chunk) => Encoding.UTF8.GetString(chunk.Data.Span);

    private void Write(string path, string text)
    {
        _ = Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(_folder, path))!);
        File.WriteAllText(Path.Combine(_folder, path), text);
    }
}
