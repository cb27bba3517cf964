using System.Runtime.InteropServices;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;

namespace NanoVms.Drivers;

/// <summary>A machine to be started.</summary>
/// <param name="HostId">With the machine's id in the process's arguments, by which orphans are found.</param>
/// <param name="Folder">Where its sockets go.</param>
/// <param name="DiskPath">Its writable layer.</param>
/// <param name="Tap">Null without a network card; the caller closes its copy.</param>
/// <param name="Restore">The folder that <see cref="IHypervisor.SaveAsync"/> filled, or null to boot. A restored machine waits for <see cref="IHypervisor.LoadAsync"/>.</param>
internal sealed record MachinePlan(
    string HostId, string MachineId, MachineSpec Spec, BootFiles Boot, GuestLease Lease, string Folder, string DiskPath, SafeHandle? Tap, int Mtu, string? Restore = null)
{
    /// <summary>Network cards, the first of which has <see cref="Tap"/>.</summary>
    public IReadOnlyList<PlannedCard> Cards { get; init; } = [];

    /// <summary>Of the first card; without any, of the address that the machine has all the same.</summary>
    public GuestLease Card => Cards.Count == 0 ? Lease : Cards[0].Card.Port.Lease;

    /// <summary>Of the computer's disks; null for no limit. The machine's control group has it as well.</summary>
    public IoLimits? Io { get; init; }

    /// <summary>The network that a container's card is to be plugged into; null without a card.</summary>
    public GuestBridge? Bridge { get; init; }

    /// <summary>Gives a process its network that is in one of its own and does not run yet; where cards have no <see cref="PlannedCard.Tap"/> it makes them.</summary>
    public Func<ProcessIdentity, Task> Connect { get; init; } = _ => Task.CompletedTask;

    /// <summary>Addresses of PCI devices that were taken from the computer for it.</summary>
    public IReadOnlyList<string> PciDevices { get; init; } = [];

    /// <summary>The IOMMU groups that they are.</summary>
    public IReadOnlyList<int> PciGroups { get; init; } = [];

    /// <summary>Completes when the writable layer is made; for virtual machines it is already.</summary>
    public Task DiskReady { get; init; } = Task.CompletedTask;

    /// <summary>The agent's program on this computer, for machines without a kernel of their own; null when the host was not told.</summary>
    public string? AgentPath { get; init; }
}

/// <param name="Tap">Null where it is made in the machine's own network later, as a container's cable is by its driver; the caller closes its copy.</param>
internal sealed record PlannedCard(MachineCard Card, SafeHandle? Tap);
