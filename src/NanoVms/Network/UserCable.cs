using NanoVms.Commands;

namespace NanoVms.Network;

/// <summary>A card in a hypervisor's own network, and what it takes to connect that with the world.</summary>
/// <param name="Hypervisor">Has a network of its own, and does not run yet when it is connected first.</param>
/// <param name="Folder">The machine's.</param>
/// <param name="Save">Keeps the process that carries the machine's packets.</param>
internal sealed record UserCable(BridgePort Port, IReadOnlyList<PortMapping> Ports, ProcessIdentity Hypervisor, string Folder, Action<ProcessIdentity> Save);
