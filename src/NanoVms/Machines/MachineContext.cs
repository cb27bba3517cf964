using Microsoft.Extensions.Logging;
using NanoVms.Drivers;
using NanoVms.Machines.Cgroups;
using NanoVms.Network;
using NanoVms.Pci;

namespace NanoVms.Machines;

/// <summary>What all machines of a host share.</summary>
/// <param name="Folder">Holds a folder per machine.</param>
internal sealed record MachineContext(
    string Folder, GuestBridge Bridge, CgroupLayout Cgroups, MachineDrivers Drivers, ILogger Logger, TimeProvider Time)
{
    /// <summary>What the machines call each other.</summary>
    public GroupNames Names { get; } = new();

    /// <summary>The computer's PCI devices.</summary>
    public PciPool Pci { get; init; } = PciPool.OfThisComputer(Logger);

    public string FolderOf(string machineId) => Path.Combine(Folder, machineId);

    public MachineCgroup CgroupOf(string machineId) => new(Cgroups, Bridge.HostId, machineId, Logger);
}
