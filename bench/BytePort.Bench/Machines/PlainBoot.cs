using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using NanoVms.Agent;
using NanoVms.Commands;
using NanoVms.Images;

namespace BytePort.Bench.Machines;

/// <summary>The peer: QEMU's q35 with its default devices, as one starts it by hand, to the agent's first answer.</summary>
internal sealed class PlainBoot : IDisposable
{
    private readonly string _folder;
    private readonly string _initramfs;
    private readonly GuestKernel _kernel;
    private readonly int _memoryMiB;

    private PlainBoot(string folder, GuestKernel kernel, string initramfs, int memoryMiB) =>
        (_folder, _kernel, _initramfs, _memoryMiB) = (folder, kernel, initramfs, memoryMiB);

    /// <summary>Fetches the kernel's package again: only its bzImage is as the distribution boots it.</summary>
    public static async Task<PlainBoot> PrepareAsync(GuestKernel kernel, string initramfs, int memoryMiB)
    {
        var folder = Directory.CreateTempSubdirectory("byteport-q35-").FullName;
        await RunAsync(folder, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", $"linux-image-{kernel.Release}");
        await RunAsync(folder, "dpkg", "-x", Directory.GetFiles(folder, "*.deb").Single(), "tree");
        return new PlainBoot(folder, kernel, initramfs, memoryMiB);
    }

    /// <param name="direct">True to boot our uncompressed kernel by our command line.</param>
    public async Task<Boot> RunAsync(bool direct)
    {
        var socket = Path.Combine(_folder, "agent.sock");
        File.Delete(socket);
        var tsc = TimeStampCounter.GetKilohertz();
        var image = direct ? _kernel.VmlinuxPath : Path.Combine(_folder, $"tree/boot/vmlinuz-{_kernel.Release}");
        var commandLine = direct ? GuestKernel.CommandLine(tsc, hardware: false, console: true) : $"console=ttyS0 tsc_early_khz={tsc.ToString(CultureInfo.InvariantCulture)}";
        var clock = Stopwatch.StartNew();
        using var qemu = Process.Start(new ProcessStartInfo("qemu-system-x86_64",
        [
            "-M", "q35", "-accel", "tcg", "-m", _memoryMiB.ToString(CultureInfo.InvariantCulture), "-display", "none", "-serial", "null", "-no-reboot",
            "-kernel", image, "-initrd", _initramfs, "-append", commandLine,
            "-chardev", $"socket,id=agent,path={socket},server=on,wait=off",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=nanovms.agent",
        ]))!;
        try
        {
            await using var agent = await ConnectAsync(socket, qemu);
            return new Boot(clock.Elapsed, new Hypervisor(qemu.Id).ProcessorTime);
        }
        finally
        {
            qemu.Kill();
            await qemu.WaitForExitAsync();
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static async Task<AgentConnection> ConnectAsync(string path, Process qemu)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), limit.Token);
                return await AgentConnection.ConnectAsync(new NetworkStream(socket, ownsSocket: true), limit.Token);
            }
            catch (SocketException) when (!qemu.HasExited)
            {
                socket.Dispose();
                await Task.Delay(5, limit.Token);
            }
        }
    }

    private static Task RunAsync(string folder, string program, params string[] arguments) =>
        CommandRunner.RunCheckedAsync(new Command(program, arguments) { WorkingDirectory = folder }, CancellationToken.None);
}
