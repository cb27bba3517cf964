using System.Globalization;
using NanoVms.Commands;

namespace NanoVms.Network;

/// <summary>
/// The private networks of a host: a bridge and a /24 for each. The computer itself has no address in any of them, and the rules let
/// nothing through between it and them.
/// </summary>
/// <param name="save">Keeps the list, whole or not at all.</param>
internal sealed class PrivateNetworks(string hostId, Ipv4Prefix all, int mtu, IEnumerable<PrivateNetwork> known, Action<IReadOnlyList<PrivateNetwork>> save, TimeProvider time)
    : IDisposable
{
    private readonly SemaphoreSlim _changing = new(1);
    private readonly Lock _gate = new();
    private readonly Dictionary<int, (PrivateNetwork Network, AddressPool Pool, bool HasRouter)> _networks =
        known.ToDictionary(network => network.Index, network => (network, new AddressPool(PrivateNetwork.Places), false));

    public IReadOnlyList<PrivateNetwork> List
    {
        get
        {
            lock (_gate)
                return [.. _networks.Values.Select(entry => entry.Network).OrderBy(network => network.Index)];
        }
    }

    public string TapPrefix => $"bp{hostId}n";

    public Ipv4Prefix All => all;

    public static string BridgePrefixOf(string hostId) => $"bp{hostId}b";

    public PrivateNetwork? Find(string owner, string name) => List.FirstOrDefault(network => network.Owner == owner && network.Name == name);

    public string BridgeOf(int network) => BridgePrefixOf(hostId) + network.ToString("x2", CultureInfo.InvariantCulture);

    public GuestLease LeaseAt(int network, int place) => GuestLease.Create(TapPrefix, all, (network * PrivateNetwork.Places) + place);

    /// <summary>Makes the bridges that are missing and removes what belongs to no network.</summary>
    public async Task RepairAsync(string alias, CancellationToken cancellationToken)
    {
        var wanted = List.Select(network => BridgeOf(network.Index)).ToHashSet();
        foreach (var bridge in InterfacesThatBegin(BridgePrefixOf(hostId)).Where(bridge => !wanted.Contains(bridge)))
            _ = await CommandRunner.RunAsync(IpCommands.Batch(IpCommands.DeleteLink(bridge)), cancellationToken);
        foreach (var network in List)
            await MakeAsync(network, alias, cancellationToken);
    }

    /// <exception cref="NetworkException">The owner has one of this name or too many, or the host has no room.</exception>
    public async Task<PrivateNetwork> CreateAsync(string owner, string name, string alias, int most, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            if (Find(owner, name) is not null)
                throw new NetworkException($"There is a network '{name}' already.");
            if (List.Count(network => network.Owner == owner) >= most)
                throw new NetworkException($"There are {most} networks already, the most that one owner may have. Remove one first.");
            var places = (int)(all.Count / PrivateNetwork.Places);
            var index = Enumerable.Range(0, places).Cast<int?>().FirstOrDefault(index => List.All(network => network.Index != index))
                ?? throw new NetworkException($"All {places} networks of this computer are in use.");
            var made = new PrivateNetwork(index, owner, name, time.GetUtcNow());
            await MakeAsync(made, alias, cancellationToken);
            lock (_gate)
                _networks[index] = (made, new AddressPool(PrivateNetwork.Places), false);
            save(List);
            return made;
        }
        finally
        {
            _ = _changing.Release();
        }
    }

    /// <exception cref="NetworkException">There is none, or machines are in it.</exception>
    public async Task RemoveAsync(string owner, string name, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            var network = Find(owner, name) ?? throw new NetworkException($"There is no network '{name}'.");
            lock (_gate)
            {
                var entry = _networks[network.Index];
                if (entry.HasRouter || entry.Pool.IsUsed)
                    throw new NetworkException($"Machines are in the network '{name}': stop them first.");
                _ = _networks.Remove(network.Index);
            }

            save(List);
            _ = await CommandRunner.RunAsync(IpCommands.Batch(IpCommands.DeleteLink(BridgeOf(network.Index))), cancellationToken);
        }
        finally
        {
            _ = _changing.Release();
        }
    }

    /// <summary>A place for a card, the router's when it is to be it.</summary>
    /// <exception cref="NetworkException">None is free.</exception>
    public (int Network, int Place) Take(string owner, string name, bool asRouter)
    {
        var network = Find(owner, name) ?? throw new NetworkException($"There is no network '{name}'. Make it with: byteport network create {name}");
        lock (_gate)
        {
            if (!_networks.TryGetValue(network.Index, out var entry))
                throw new NetworkException($"There is no network '{name}' any more.");
            if (asRouter && entry.HasRouter)
                throw new NetworkException($"The network '{name}' has a router already; one is possible.");
            if (!asRouter)
            {
                return (network.Index, entry.Pool.Take()
                    ?? throw new NetworkException($"No address is free in the network '{name}': all of {network.PrefixIn(all)} are in use. Stop machines that are in it."));
            }

            _networks[network.Index] = entry with { HasRouter = true };
            return (network.Index, PrivateNetwork.RouterPlace);
        }
    }

    /// <summary>Takes the place of a machine that is there already.</summary>
    public void TryTake(int network, int place)
    {
        lock (_gate)
        {
            if (!_networks.TryGetValue(network, out var entry))
                return;
            if (place == PrivateNetwork.RouterPlace)
                _networks[network] = entry with { HasRouter = true };
            else
                _ = entry.Pool.TryTake(place);
        }
    }

    public void Release(int network, int place)
    {
        lock (_gate)
        {
            if (!_networks.TryGetValue(network, out var entry))
                return;
            if (place == PrivateNetwork.RouterPlace)
                _networks[network] = entry with { HasRouter = false };
            else
                entry.Pool.Release(place);
        }
    }

    public static IEnumerable<string> InterfacesThatBegin(string prefix) =>
        Directory.EnumerateFileSystemEntries("/sys/class/net", prefix + "*").Select(path => Path.GetFileName(path)!);

    public void Dispose() => _changing.Dispose();

    private async Task MakeAsync(PrivateNetwork network, string alias, CancellationToken cancellationToken)
    {
        var bridge = BridgeOf(network.Index);
        if (!Directory.Exists($"/sys/class/net/{bridge}"))
        {
            var mac = GuestLease.MacOf(all.At((long)network.Index * PrivateNetwork.Places));
            _ = await CommandRunner.RunCheckedAsync(IpCommands.Batch(IpCommands.AddBridge(bridge, mac, alias)), cancellationToken);
        }

        HostSwitches.DisableIpv6(bridge);
        _ = await CommandRunner.RunCheckedAsync(IpCommands.Batch(IpCommands.RaiseBridge(bridge, mtu)), cancellationToken);
    }
}
