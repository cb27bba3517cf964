using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>The way to the host: vsock where the machine has it, else the virtio-serial port.</summary>
internal static class HostPort
{
    private const string Name = "nanovms.agent";
    private const string Folder = "/sys/class/virtio-ports";

    /// <summary>Virtio's number of a socket device (virtio 1.2, 5.10).</summary>
    private const string SocketDevice = "0x0013";

    /// <summary>Loads the drivers of the bus that this machine has and attaches the channel to what leads to the host.</summary>
    public static void Open(EventLoop loop, HostChannel channel)
    {
        Modules.Load("virtio");
        Modules.Load(Bus.IsMmio ? "mmio" : "pci");
        if (!HasSocketDevice())
        {
            channel.Attach(WaitForPort(), closesWithHost: false);
            return;
        }

        Modules.Load("vsock");
        if (!VsockServer.TryListen(loop, channel))
            throw AgentFailure.Of($"cannot listen at vsock port {VsockServer.Port}");
    }

    private static bool HasSocketDevice() =>
        Files.List("/sys/bus/virtio/devices").Exists(name => Files.TryReadText($"/sys/bus/virtio/devices/{name}/device", 16).Trim() == SocketDevice);

    /// <summary>It comes a moment after its driver.</summary>
    private static int WaitForPort()
    {
        Modules.Load("console");
        while (true)
        {
            foreach (var port in Files.List(Folder))
            {
                if (Files.TryReadText($"{Folder}/{port}/name", 64).Trim() != Name)
                    continue;
                var fd = Files.TryOpen($"/dev/{port}", Libc.O_RDWR | Libc.O_NONBLOCK);
                if (fd >= 0)
                    return fd;
            }

            _ = Libc.Sleep(500);
        }
    }
}
