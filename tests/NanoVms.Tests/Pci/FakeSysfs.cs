using NanoVms.Pci;

namespace NanoVms.Tests.Pci;

/// <summary>A tree like the kernel's, which does on a write what the kernel would do.</summary>
internal sealed class FakeSysfs : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-sysfs-").FullName;
    private readonly Dictionary<string, string?> _preferred = [];

    public FakeSysfs()
    {
        foreach (var folder in (string[])["bus/pci/devices", "bus/pci/drivers/vfio-pci", "kernel/iommu_groups", "dev/vfio"])
            _ = Directory.CreateDirectory(Path.Combine(_folder, folder));
        Bus = new PciBus(_folder, Write);
    }

    public PciBus Bus { get; }

    public string DeviceFolder => Path.Combine(_folder, "dev/vfio");

    public List<string> Written { get; } = [];

    /// <summary>Writes that the kernel refuses.</summary>
    public string? Refused { get; set; }

    public string FolderOf(string address) => Path.Combine(_folder, "bus/pci/devices", address);

    public void Add(string address, string classCode, string ids, string? driver, int? group)
    {
        var folder = Directory.CreateDirectory(FolderOf(address)).FullName;
        File.WriteAllText(Path.Combine(folder, "class"), $"0x{classCode}\n");
        File.WriteAllText(Path.Combine(folder, "vendor"), $"0x{ids[..4]}\n");
        File.WriteAllText(Path.Combine(folder, "device"), $"0x{ids[5..]}\n");
        File.WriteAllText(Path.Combine(folder, "driver_override"), "(null)\n");
        _preferred[address] = driver;
        if (driver is not null)
            Attach(address, driver);
        if (group is not { } number)
            return;
        var home = Directory.CreateDirectory(Path.Combine(_folder, "kernel/iommu_groups", $"{number}")).FullName;
        _ = File.CreateSymbolicLink(Path.Combine(folder, "iommu_group"), home);
        File.WriteAllText(Path.Combine(DeviceFolder, $"{number}"), "");
    }

    public string? DriverOf(string address) => Bus.TryRead(address)!.Driver;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private void Write(string path, string text)
    {
        var at = Path.GetRelativePath(_folder, path);
        Written.Add($"{at} {text.Trim()}");
        if (Refused is not null && at.Contains(Refused, StringComparison.Ordinal))
            throw new IOException($"{path}: Device or resource busy");
        var parts = at.Split('/');
        switch (parts[^1])
        {
            case "driver_override":
                File.WriteAllText(path, text == "\n" ? "(null)\n" : text);
                break;
            case "unbind":
                File.Delete(Path.Combine(FolderOf(text), "driver"));
                break;
            case "bind":
                Attach(text, parts[^2]);
                break;
            case "drivers_probe":
                var wanted = File.ReadAllText(Path.Combine(FolderOf(text), "driver_override")).Trim();
                if ((wanted == "(null)" ? _preferred[text] : wanted) is { } driver && !File.Exists(Path.Combine(FolderOf(text), "driver")))
                    Attach(text, driver);
                break;
            default:
                throw new IOException($"Nothing can be written to {path}.");
        }
    }

    private void Attach(string address, string driver)
    {
        var home = Directory.CreateDirectory(Path.Combine(_folder, "bus/pci/drivers", driver)).FullName;
        _ = File.CreateSymbolicLink(Path.Combine(FolderOf(address), "driver"), home);
    }
}
