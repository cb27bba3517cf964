using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>Finds virtio disks by the serial number their driver on the host gave them: their letters follow no order.</summary>
internal sealed class Devices
{
    private readonly Dictionary<string, string> _bySerial = [];

    public Devices()
    {
        foreach (var name in Files.List("/sys/block"))
        {
            var serial = Files.TryReadText($"/sys/block/{name}/serial", 64).Trim('\n', '\0');
            if (serial.Length > 0)
                _bySerial[serial] = $"/dev/{name}";
        }
    }

    public string Find(string device)
    {
        if (device.StartsWith("/dev/", StringComparison.Ordinal))
            return device;
        return _bySerial.TryGetValue(device, out var node)
            ? node
            : throw new AgentFailure($"there is no disk '{device}'; there are: {string.Join(", ", _bySerial.Keys)}");
    }

    public void LinkDrive(string name, string device)
    {
        Files.MakeDirectory("/dev/nanovms");
        Files.Link(Find(device), $"/dev/nanovms/{name}");
    }
}
