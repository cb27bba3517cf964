using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Machines;

namespace NanoVms.Network;

/// <summary>The network of one machine host: where its machines' cards are plugged in, and what may pass. Nothing of it ends with this process.</summary>
internal interface IHostNetwork : IAsyncDisposable
{
    /// <summary>Names what belongs to this host's machines and to no other's of the computer.</summary>
    string HostId { get; }

    /// <summary>Of the network that all machines see; its first address is their gateway and name server.</summary>
    Ipv4Prefix Prefix { get; }

    /// <summary>Bytes; that of the interface by which packets leave the computer, so that none has to be cut.</summary>
    int Mtu { get; }

    AddressPool Pool { get; }

    /// <summary>Networks of owners' own.</summary>
    PrivateNetworks Networks { get; }

    GuestLease LeaseAt(int index);

    /// <summary>A guest's port of the network that all share.</summary>
    /// <param name="group">Whose guests it reaches; empty for nobody's.</param>
    /// <param name="rate">Null for what all have that say nothing.</param>
    BridgePort PortAt(int index, string group, RateLimits? rate);

    /// <summary>A guest's port of a private network.</summary>
    /// <param name="place">The router's, or another.</param>
    BridgePort PrivatePortAt(int network, int place, RateLimits? rate);

    /// <summary>What this network cannot do of a specification: sentences that say what to do instead.</summary>
    IEnumerable<string> FindErrors(MachineSpec spec);

    /// <exception cref="NetworkException">The owner has one of this name or too many, or the host has no room.</exception>
    Task<PrivateNetwork> CreateNetworkAsync(string owner, string name, int most, CancellationToken cancellationToken);

    /// <summary>Makes a guest's tap and plugs it in. Whoever gets the handle keeps the tap alive. Null when <see cref="ConnectAsync"/> makes it.</summary>
    Task<SafeFileHandle?> PlugAsync(BridgePort port, CancellationToken cancellationToken);

    /// <summary>Makes the tap in the hypervisor's own network, which <see cref="PlugAsync"/> could not, and connects it with the world.</summary>
    /// <exception cref="NetworkException">It was not connected; a process that was kept is to be ended by the caller.</exception>
    Task ConnectAsync(UserCable cable, CancellationToken cancellationToken);

    /// <summary>Looks after what carries an adopted machine's packets from now on, as after <see cref="ConnectAsync"/>.</summary>
    /// <param name="uplink">As it was kept.</param>
    void Follow(UserCable cable, ProcessIdentity uplink);

    /// <summary>Leads ports of the computer to a guest.</summary>
    /// <exception cref="NetworkException">A program or another machine has one of them; none is published.</exception>
    Task PublishAsync(GuestLease guest, IReadOnlyList<PortMapping> ports, CancellationToken cancellationToken);

    /// <summary>Takes back what <see cref="PublishAsync"/> gave. Only for ports that it gave.</summary>
    Task WithdrawAsync(GuestLease guest, IReadOnlyList<PortMapping> ports, CancellationToken cancellationToken);

    /// <summary>Takes away what belongs to a port. A tap ended with its hypervisor; a cable would end some time later.</summary>
    Task UnplugAsync(BridgePort port, CancellationToken cancellationToken);

    /// <summary>Takes everything away, each step even if another fails.</summary>
    Task RemoveAsync(CancellationToken cancellationToken);
}
