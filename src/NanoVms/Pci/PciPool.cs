using System.Globalization;
using Microsoft.Extensions.Logging;
using NanoVms.Images;
using NanoVms.Machines;

namespace NanoVms.Pci;

/// <summary>Lends the computer's PCI devices to machines, each to one at a time, and takes them back. Thread safe.</summary>
/// <param name="deviceFolder">Where the nodes of groups are: <c>/dev/vfio</c>.</param>
/// <param name="readMounts">The lines of <c>/proc/mounts</c>.</param>
internal sealed class PciPool(PciBus bus, string deviceFolder, Func<IReadOnlyList<string>> readMounts, ILogger logger)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, string> _holders = [];

    public static PciPool OfThisComputer(ILogger logger) => new(PciBus.OfThisComputer, "/dev/vfio", () => File.ReadAllLines("/proc/self/mounts"), logger);

    public IReadOnlyList<PciDevice> List() => bus.List();

    /// <summary>The machine that has a device; null for none.</summary>
    public string? HolderOf(string address)
    {
        lock (_gate)
            return _holders.GetValueOrDefault(address);
    }

    /// <summary>Says that an adopted machine has its devices.</summary>
    public void Adopt(string machine, IEnumerable<PciLoan> loans)
    {
        lock (_gate)
        {
            foreach (var loan in loans)
                _holders[loan.Address] = machine;
        }
    }

    /// <summary>Chooses a machine's devices and keeps others from them. Nothing is changed in the computer yet.</summary>
    /// <exception cref="MachineException">Names each device that the machine cannot have, and why.</exception>
    public IReadOnlyList<PciLoan> Reserve(string machine, MachineSpec spec)
    {
        lock (_gate)
        {
            var all = bus.List();
            var errors = new List<string>();
            var chosen = new Dictionary<string, PciDevice>();
            foreach (var address in spec.PciDevices)
            {
                if (all.FirstOrDefault(device => device.Address == address) is { } device)
                    chosen[address] = device;
                else
                    errors.Add($"There is no PCI device {address}.");
            }

            foreach (var kind in spec.PciKinds)
            {
                var devices = all.Where(device => !device.IsBridge && PciKind.Matches(kind, device)).ToList();
                if (devices.Count == 0)
                    errors.Add($"There is no PCI device of the kind '{kind}'.");
                foreach (var device in devices)
                    chosen[device.Address] = device;
            }

            var mounts = readMounts();
            errors.AddRange(chosen.Values.Select(device => WhyNot(device, machine, chosen, all, mounts)).OfType<string>());
            if (errors.Count > 0)
                throw new MachineException($"Machine '{spec.Name}' was not started: {string.Join(' ', errors)} 'byteport machine pci ls' lists the devices.");
            foreach (var address in chosen.Keys)
                _holders[address] = machine;
            return [.. chosen.Values.Select(device => new PciLoan(device.Address, device.Driver, device.IommuGroup!.Value))];
        }
    }

    /// <summary>Takes reserved devices from the computer and lets a user open their groups. The loans must be written down before.</summary>
    /// <exception cref="MachineException">The kernel refused one.</exception>
    public void Lend(string machineName, IReadOnlyList<PciLoan> loans, uint userId)
    {
        lock (_gate)
        {
            try
            {
                foreach (var loan in loans)
                    bus.Bind(loan.Address, PciBus.PassThroughDriver);
                foreach (var group in loans.Select(loan => loan.IommuGroup).Distinct())
                    FileOwner.Set(NodeOf(group), userId, userId);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new MachineException($"Machine '{machineName}' was not started: a PCI device cannot be given to it: {e.Message}", e);
            }
        }
    }

    /// <summary>Gives devices back to the computer's drivers; as often as needed.</summary>
    public void TakeBack(string machine, IReadOnlyList<PciLoan> loans)
    {
        lock (_gate)
        {
            foreach (var loan in loans)
            {
                // Another machine may have it by now, when this is said twice.
                if (_holders.GetValueOrDefault(loan.Address, machine) != machine)
                    continue;
                try
                {
                    if (File.Exists(NodeOf(loan.IommuGroup)))
                        FileOwner.Set(NodeOf(loan.IommuGroup), 0, 0);
                    bus.Restore(loan.Address, loan.Driver);
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    Log.NotRestored(logger, loan.Address, loan.Driver ?? "no driver", e.Message);
                }

                _ = _holders.Remove(loan.Address);
            }
        }
    }

    private string? WhyNot(PciDevice device, string machine, Dictionary<string, PciDevice> chosen, IReadOnlyList<PciDevice> all, IReadOnlyList<string> mounts)
    {
        var what = $"{device.Address} ({device.ClassName})";
        if (_holders.GetValueOrDefault(device.Address) is { } holder && holder != machine)
            return $"{what} is machine {holder}'s.";
        if (device.IsBridge)
            return $"{what} is a bridge of the computer, which no machine can have.";
        if (device.IommuGroup is null)
            return $"{what} has no IOMMU group: this computer has no IOMMU, or it is off. Turn it on in the firmware (VT-d, AMD-Vi) and boot Linux with intel_iommu=on or amd_iommu=on.";
        var others = all.Where(other => other.IommuGroup == device.IommuGroup && !other.IsBridge && !chosen.ContainsKey(other.Address)).Select(other => $"{other.Address} ({other.ClassName})").ToList();
        if (others.Count > 0)
            return $"{what} is in IOMMU group {device.IommuGroup.Value.ToString(CultureInfo.InvariantCulture)} with {string.Join(", ", others)}; a group is assigned as a whole, so name them too.";
        return bus.UsesOf(device.Address, mounts).FirstOrDefault() is { } use ? $"{what} is in use: it has {use}." : null;
    }

    private string NodeOf(int group) => Path.Combine(deviceFolder, group.ToString(CultureInfo.InvariantCulture));
}
