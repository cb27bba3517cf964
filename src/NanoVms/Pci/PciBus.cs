using System.Globalization;

namespace NanoVms.Pci;

/// <summary>The computer's PCI devices as the kernel shows them (Documentation/ABI/testing/sysfs-bus-pci), and their way to another driver and back.</summary>
/// <param name="root">Where sysfs is mounted.</param>
/// <param name="write">Writes a text into a file of sysfs.</param>
internal sealed class PciBus(string root, Action<string, string> write)
{
    public const string PassThroughDriver = "vfio-pci";
    private const int MaxSearchDepth = 5;
    private readonly Lazy<PciNames> _names = new(PciNames.OfThisComputer);

    public static PciBus OfThisComputer { get; } = new("/sys", File.WriteAllText);

    private string Devices => Path.Combine(root, "bus/pci/devices");

    /// <summary>All devices by address; none on a computer without PCI.</summary>
    public IReadOnlyList<PciDevice> List() => Directory.Exists(Devices)
        ? [.. Directory.EnumerateFileSystemEntries(Devices).Select(path => TryRead(Path.GetFileName(path))).OfType<PciDevice>().OrderBy(device => device.Address, StringComparer.Ordinal)]
        : [];

    /// <summary>Null when there is none, or none any more.</summary>
    public PciDevice? TryRead(string address)
    {
        try
        {
            var folder = Path.Combine(Devices, address);
            var (vendor, device, code) = (Hex(folder, "vendor", 4), Hex(folder, "device", 4), Hex(folder, "class", 6));
            return new PciDevice(
                address, code, _names.Value.ClassOf(code), vendor, device, _names.Value.NameOf(vendor, device), TargetOf(folder, "driver"),
                int.TryParse(TargetOf(folder, "iommu_group"), NumberStyles.None, CultureInfo.InvariantCulture, out var group) ? group : null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>What of the computer hangs on the device: network cards that are up, and disks that are mounted.</summary>
    /// <param name="mounts">The lines of <c>/proc/mounts</c>.</param>
    public IEnumerable<string> UsesOf(string address, IReadOnlyList<string> mounts)
    {
        foreach (var folder in Below(Path.Combine(Devices, address), MaxSearchDepth))
        {
            var name = Path.GetFileName(folder);
            switch (Path.GetFileName(Path.GetDirectoryName(folder)))
            {
                case "net" when ReadOrEmpty(Path.Combine(folder, "operstate")) == "up":
                    yield return $"the network card {name}, which is up";
                    break;
                case "block" when mounts.FirstOrDefault(line => line.StartsWith($"/dev/{name}", StringComparison.Ordinal)) is { } mount:
                    yield return $"the disk {name}, which is mounted at {mount.Split(' ')[1]}";
                    break;
            }
        }
    }

    /// <summary>Gives a device to a driver by name, whatever has it now.</summary>
    /// <exception cref="IOException">The kernel refused.</exception>
    public void Bind(string address, string driver)
    {
        var folder = Path.Combine(Devices, address);
        write(Path.Combine(folder, "driver_override"), driver);
        Unbind(address);
        write(Path.Combine(root, "bus/pci/drivers_probe"), address);
        if (TargetOf(folder, "driver") is var now && now != driver)
            throw new IOException($"The kernel did not give {address} to {driver}, but to {now ?? "nobody"}. Is the module {driver} loaded? (modprobe {driver})");
    }

    /// <summary>Gives a device back to the driver that had it. Does nothing when it is no longer passed through.</summary>
    /// <exception cref="IOException">The kernel refused.</exception>
    public void Restore(string address, string? driver)
    {
        var folder = Path.Combine(Devices, address);
        if (!Directory.Exists(folder))
            return;
        // An empty line takes the override away.
        write(Path.Combine(folder, "driver_override"), "\n");
        if (TargetOf(folder, "driver") == PassThroughDriver && driver != PassThroughDriver)
            Unbind(address);
        if (driver is null || TargetOf(folder, "driver") is not null)
            return;
        write(Path.Combine(root, "bus/pci/drivers_probe"), address);
        if (TargetOf(folder, "driver") is null)
            write(Path.Combine(root, "bus/pci/drivers", driver, "bind"), address);
    }

    private void Unbind(string address)
    {
        if (TargetOf(Path.Combine(Devices, address), "driver") is { } driver)
            write(Path.Combine(root, "bus/pci/drivers", driver, "unbind"), address);
    }

    private static IEnumerable<string> Below(string folder, int depth)
    {
        if (depth == 0 || !Directory.Exists(folder))
            yield break;
        // Links lead to the driver, the bus and round in circles.
        foreach (var child in new DirectoryInfo(folder).EnumerateDirectories().Where(child => child.LinkTarget is null))
        {
            yield return child.FullName;
            foreach (var below in Below(child.FullName, depth - 1))
                yield return below;
        }
    }

    private static string ReadOrEmpty(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static string Hex(string folder, string name, int digits)
    {
        var text = File.ReadAllText(Path.Combine(folder, name)).Trim();
        return text.StartsWith("0x", StringComparison.Ordinal) && text.Length == digits + 2 && text[2..].All(char.IsAsciiHexDigit)
            ? text[2..].ToLowerInvariant()
            : throw new IOException($"{folder}/{name} says '{text}'.");
    }

    private static string? TargetOf(string folder, string name) => Path.GetFileName(new FileInfo(Path.Combine(folder, name)).LinkTarget);
}
