using Microsoft.Extensions.Logging;
using NanoVms.Drivers;
using NanoVms.Machines.Cgroups;
using NanoVms.Network;
using NanoVms.Pci;

namespace NanoVms.Machines;

/// <summary>What all machines of a host share.</summary>
/// <param name="Folder">Holds a folder per machine.</param>
internal sealed record MachineContext(
    HostMode Mode, string Folder, IHostNetwork Network, CgroupLayout Cgroups, MachineDrivers Drivers, ILogger Logger, TimeProvider Time)
{
    /// <summary>What the machines call each other.</summary>
    public GroupNames Names { get; } = new();

    /// <summary>The computer's PCI devices.</summary>
    public PciPool Pci { get; init; } = PciPool.OfThisComputer(Logger);

    /// <summary>What this host cannot do of a specification.</summary>
    public IEnumerable<string> FindErrors(MachineSpec spec)
    {
        var errors = Network.FindErrors(spec);
        if (Mode == HostMode.Root)
            return errors;
        if (spec.PciDevices.Count + spec.PciKinds.Count > 0)
            errors = errors.Append("Without root no PCI device is taken from the computer. Leave PciDevices and PciKinds out, or run the machines' host as root.");
        return errors;
    }

    public string FolderOf(string machineId) => Path.Combine(Folder, machineId);

    public MachineCgroup CgroupOf(string machineId) => new(Cgroups, Network.HostId, machineId, Logger);
}
