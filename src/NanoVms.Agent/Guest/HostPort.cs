using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>The virtio-serial port that leads to the host.</summary>
internal static class HostPort
{
    private const string Name = "nanovms.agent";
    private const string Folder = "/sys/class/virtio-ports";

    /// <summary>Loads the drivers of the bus that this machine has, and waits for the port: it comes a moment after its driver.</summary>
    public static int Open()
    {
        Modules.Load("virtio");
        // LNRO0005 is the ACPI name of a virtio-mmio device.
        var hasMmio = Files.List("/sys/bus/acpi/devices").Exists(name => name.StartsWith("LNRO0005", StringComparison.Ordinal));
        Modules.Load(hasMmio ? "mmio" : "pci");
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
