using Microsoft.Extensions.Logging;
using NanoVms.Drivers;
using NanoVms.Machines.Cgroups;
using NanoVms.Network;

namespace NanoVms.Machines;

/// <summary>What all machines of a host share.</summary>
/// <param name="Folder">Holds a folder per machine.</param>
internal sealed record MachineContext(
    string Folder, GuestBridge Bridge, CgroupLayout Cgroups, MachineDrivers Drivers, ILogger Logger, TimeProvider Time)
{
    /// <summary>What the machines call each other.</summary>
    public GroupNames Names { get; } = new();

    public string FolderOf(string machineId) => Path.Combine(Folder, machineId);

    public MachineCgroup CgroupOf(string machineId) => new(Cgroups, Bridge.HostId, machineId, Logger);
}
