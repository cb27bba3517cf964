using System.Diagnostics;
using System.Net.Sockets;
using NanoVms.Commands;
using NanoVms.Drivers.Qemu;
using NanoVms.Images;

namespace NanoVms.Tests.Agent;

/// <summary>A real guest under QEMU's TCG, started by hand: the smallest thing that shows the agent as a first process.</summary>
internal sealed class BootedGuest : IAsyncDisposable
{
    private static readonly string[] Programs = ["sh", "cat", "id", "ls", "sleep", "hostname", "mount", "ip", "stat", "df", "ps", "env", "head", "sha256sum", "dd", "mkdir", "rm", "grep"];

    private readonly Process _process;
    private readonly string _folder;

    private BootedGuest(Process process, string folder) => (_process, _folder) = (process, folder);

    public string ConsolePath => Path.Combine(_folder, "console");

    public static async Task<BootedGuest> StartAsync(CancellationToken cancellationToken)
    {
        var kernel = await GuestKernel.PrepareAsync(ImageStore.DefaultFolder, null, cancellationToken);
        var initramfs = await GuestInitramfs.PrepareAsync(
            ImageStore.DefaultFolder, kernel, await AgentBinary.PathAsync, null, cancellationToken);
        var folder = Directory.CreateTempSubdirectory("guest").FullName;
        await MakeDisksAsync(folder, cancellationToken);
        return Start(folder, kernel, initramfs, []);
    }

    /// <summary>Halts the guest and keeps its memory in a file and its disks as they are, to be restored from.</summary>
    public async Task SaveAsync(CancellationToken cancellationToken)
    {
        await using var monitor = await ConnectMonitorAsync(cancellationToken);
        await monitor.ExecuteAsync("stop", null, cancellationToken);
        await monitor.ExecuteAsync("migrate", new Dictionary<string, object> { ["uri"] = $"exec:cat > {_folder}/memory" }, cancellationToken);
        while ((await monitor.ExecuteAsync("query-migrate", null, cancellationToken)).GetProperty("status").GetString() != "completed")
            await Task.Delay(20, cancellationToken);
    }

    /// <summary>Another guest that goes on from what <see cref="SaveAsync"/> kept, with disks of its own.</summary>
    public async Task<BootedGuest> CloneAsync(CancellationToken cancellationToken)
    {
        var kernel = await GuestKernel.PrepareAsync(ImageStore.DefaultFolder, null, cancellationToken);
        var initramfs = await GuestInitramfs.PrepareAsync(
            ImageStore.DefaultFolder, kernel, await AgentBinary.PathAsync, null, cancellationToken);
        var folder = Directory.CreateTempSubdirectory("guest").FullName;
        foreach (var disk in (string[])["base", "app", "disk", "volume"])
            File.Copy(Path.Combine(_folder, disk), Path.Combine(folder, disk));
        var clone = Start(folder, kernel, initramfs, ["-incoming", $"exec:cat {_folder}/memory"]);
        await using var monitor = await clone.ConnectMonitorAsync(cancellationToken);
        // As it was saved: halted.
        while ((await monitor.ExecuteAsync("query-status", null, cancellationToken)).GetProperty("status").GetString() != "paused")
            await Task.Delay(5, cancellationToken);
        await monitor.ExecuteAsync("cont", null, cancellationToken);
        return clone;
    }

    private static BootedGuest Start(string folder, GuestKernel kernel, string initramfs, string[] more)
    {
        string[] arguments =
        [
            "-M", "microvm,rtc=on,x-option-roms=off", "-accel", "tcg", "-cpu", "Nehalem-v1", "-m", "256", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-kernel", kernel.VmlinuxPath, "-initrd", initramfs,
            "-append", GuestKernel.CommandLine(TimeStampCounter.GetKilohertz(), hardware: false, console: true),
            "-serial", $"file:{folder}/console",
            "-chardev", $"socket,id=agent,path={folder}/agent,server=on,wait=off",
            "-device", "virtio-serial-device", "-device", "virtserialport,chardev=agent,name=nanovms.agent",
            .. Drive("base", $"{folder}/base", true), .. Drive("app", $"{folder}/app", true),
            .. Drive("disk", $"{folder}/disk", false), .. Drive("volume", $"{folder}/volume", false),
            "-netdev", "user,id=net,restrict=on", "-device", "virtio-net-device,netdev=net",
            "-qmp", $"unix:{folder}/qmp,server=on,wait=off", .. more,
        ];
        return new BootedGuest(Process.Start(new ProcessStartInfo("qemu-system-x86_64", arguments))!, folder);
    }

    public Task<Stream> OpenStreamAsync(CancellationToken cancellationToken) => OpenAsync("agent", cancellationToken);

    private async Task<QmpClient> ConnectMonitorAsync(CancellationToken cancellationToken) =>
        await QmpClient.ConnectAsync(await OpenAsync("qmp", cancellationToken), _ => { }, TimeProvider.System, cancellationToken);

    private async Task<Stream> OpenAsync(string name, CancellationToken cancellationToken)
    {
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(_folder, name)), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch (SocketException)
            {
                socket.Dispose();
                await Task.Delay(5, cancellationToken);
            }
        }
    }

    /// <summary>A file of the volume, after the guest ended. The journal must be clean: nothing replays it.</summary>
    public async Task<string> ReadVolumeAsync(string name, CancellationToken cancellationToken) =>
        (await CommandRunner.RunCheckedAsync(new Command("debugfs", "-R", $"cat /{name}", $"{_folder}/volume"), cancellationToken)).StandardOutput;

    public Task WaitForExitAsync(CancellationToken cancellationToken) => _process.WaitForExitAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static string[] Drive(string name, string path, bool readOnly) =>
    [
        "-drive", $"if=none,id={name},format=raw,file={path},readonly={(readOnly ? "on" : "off")}",
        "-device", $"virtio-blk-device,drive={name},serial={name}",
    ];

    /// <summary>Two layers out of this computer's own programs, a writable disk and a volume.</summary>
    private static async Task MakeDisksAsync(string folder, CancellationToken cancellationToken)
    {
        var (root, app) = (Path.Combine(folder, "root"), Path.Combine(folder, "approot"));
        Directory.CreateDirectory(Path.Combine(root, "usr/bin"));
        foreach (var link in (string[])["bin", "lib", "lib64"])
            File.CreateSymbolicLink(Path.Combine(root, link), "usr/" + link);
        foreach (var program in Programs)
        {
            var path = ((string[])["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"]).Select(f => f + program).First(File.Exists);
            File.Copy(path, Path.Combine(root, "usr/bin", program));
            var libraries = await CommandRunner.RunCheckedAsync(new Command("ldd", path), cancellationToken);
            foreach (var library in libraries.StandardOutput.Split([' ', '\t', '\n']).Where(word => word.StartsWith('/')))
            {
                var target = Path.Combine(root, library.StartsWith("/usr/", StringComparison.Ordinal) ? library[1..] : "usr" + library);
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                if (!File.Exists(target))
                    File.Copy(library, target);
            }
        }

        Directory.CreateDirectory(Path.Combine(root, "mnt"));
        Directory.CreateDirectory(Path.Combine(app, "app"));
        await File.WriteAllTextAsync(Path.Combine(app, "app/hello"), "hello from the upper layer\n", cancellationToken);
        Directory.CreateDirectory(Path.Combine(root, "app"));
        await File.WriteAllTextAsync(Path.Combine(root, "app/hello"), "hidden\n", cancellationToken);
        await CommandRunner.RunCheckedAsync(new Command("mkfs.erofs", "--quiet", $"{folder}/base", root), cancellationToken);
        await CommandRunner.RunCheckedAsync(new Command("mkfs.erofs", "--quiet", $"{folder}/app", app), cancellationToken);
        foreach (var disk in (string[])["disk", "volume"])
        {
            await using (var file = File.Create(Path.Combine(folder, disk)))
                file.SetLength(64 << 20);
            await CommandRunner.RunCheckedAsync(new Command("mkfs.ext4", "-q", Path.Combine(folder, disk)), cancellationToken);
        }
    }
}
