using System.CommandLine;
using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary><c>machine pci</c>: the PCI devices of the server's computer.</summary>
internal static class PciCommand
{
    public static Command Create(CliHost host) => new("pci", "PCI devices of the server's computer, which a hac.toml may assign to its machine.") { CreateList(host) };

    private static Command CreateList(CliHost host)
    {
        var command = new Command("ls", "List them with class, driver and IOMMU group; for administrators.");
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var devices = (await client.GetAsync("api/v1/machines/pci", ApiJson.Default.PagePciDevice, cancellationToken)).Items;
            if (arguments.Json)
                host.Json(devices, ApiJson.Default.IReadOnlyListPciDevice);
            else if (devices.Count == 0)
                host.Note("The server's computer has no PCI devices.");
            else
                host.Table(["ADDRESS", "CLASS", "ID", "DRIVER", "GROUP", "MACHINE", "NAME"], devices.Select(device => (string[])
                [
                    device.Address,
                    $"{device.ClassName} ({device.Class[..4]})",
                    $"{device.Vendor}:{device.Device}",
                    device.Driver ?? "",
                    device.IommuGroup?.ToString(CultureInfo.InvariantCulture) ?? "no IOMMU",
                    device.Machine ?? "",
                    device.Name ?? "",
                ]));
            return ExitCode.Ok;
        });
        return command;
    }
}
