using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Machines;
using static NanoVms.Network.HostSwitches;

namespace NanoVms.Network;

/// <summary>
/// The network of one machine host: a bridge, its addresses, the rules that confine guests, and their name service.
/// Opening repairs whatever is missing; nothing of it ends with this process.
/// </summary>
internal sealed class GuestBridge : IHostNetwork
{
    private const string RecordName = "network.json";
    private static readonly Ipv4Prefix Everything = Ipv4Prefix.Parse("0.0.0.0/0");
    private readonly string _recordPath;
    private readonly ILogger _logger;
    private readonly NameService _names;
    private readonly Firewall _firewall;
    private readonly RuleScripts _rules = new();
    private readonly GroupNumbers _groups = new();
    private readonly Lock _recordGate = new();
    private readonly int _mtu;
    private readonly string _alias;
    private readonly RateLimits? _rate;
    private NetworkRecord _record;

    private GuestBridge(string folder, NetworkOptions options, NetworkRecord record, int mtu, ILogger logger, TimeProvider time)
    {
        _recordPath = Path.Combine(folder, RecordName);
        _record = record;
        _mtu = mtu;
        _logger = logger;
        HostId = IdOf(record.Bridge);
        Prefix = Ipv4Prefix.Parse(record.Prefix);
        Pool = new AddressPool(Prefix.Count);
        _alias = AliasOf(folder);
        _rate = options.Rate;
        _firewall = new Firewall(HostId, record.Bridge, Prefix, Ipv4Prefix.Parse(record.PrivatePrefix ?? options.PrivatePrefix));
        Networks = new PrivateNetworks(HostId, _firewall.PrivatePrefix, mtu, record.Networks, SaveNetworks, time);
        _names = new NameService(record.Bridge, Prefix, options, GuestLease.Create(TapPrefix, Prefix, 1).UserId, logger, time);
    }

    /// <summary>Names tables, taps and control groups; follows from the bridge's name, which no two hosts of a computer share.</summary>
    public string HostId { get; }

    public Ipv4Prefix Prefix { get; }

    /// <summary>Bytes; that of the interface by which packets leave the computer, so that none has to be cut.</summary>
    public int Mtu => _mtu;

    public AddressPool Pool { get; }

    /// <summary>Networks of owners' own, beside this one that all machines share.</summary>
    public PrivateNetworks Networks { get; }

    public string TapPrefix => $"bp{HostId}-";

    /// <summary>Finds or makes the bridge. Steps: 1 prefix, 2 bridge, 3 rules with these guests, 4 forwarding, 5 name service.</summary>
    /// <param name="guests">What is plugged in and alive, and the ports of the computer that lead to it.</param>
    public static async Task<GuestBridge> OpenAsync(
        string folder, NetworkOptions options, Func<IHostNetwork, IReadOnlyCollection<(BridgePort Port, IReadOnlyList<PortMapping> Published)>> guests, ILogger logger, TimeProvider time, CancellationToken cancellationToken)
    {
        Validate(options);
        var alias = AliasOf(folder);
        RefuseForeignBridge(options.BridgeName, alias, folder);

        // 1
        var known = SafeFile.ReadJson(Path.Combine(folder, RecordName), NetworkJson.Default.NetworkRecord);
        var record = known is not null && known.Bridge == options.BridgeName
            ? known
            : new NetworkRecord(options.BridgeName, await ChoosePrefixAsync(options.Prefix, options, null, logger, cancellationToken), ReadForwarding(), null, "");
        if (record.PrivatePrefix is null)
            record = record with { PrivatePrefix = await ChoosePrefixAsync(options.PrivatePrefix, options, record.Prefix, logger, cancellationToken) };
        var mtu = HostRoutes.EgressMtu(ReadOrEmpty("/proc/net/route"), MtuOf);
        var bridge = new GuestBridge(folder, options, record, mtu, logger, time);
        bridge.Save(record);
        try
        {
            await bridge.RepairAsync(alias, guests(bridge), cancellationToken);
        }
        catch (CommandException e)
        {
            await bridge.DisposeAsync();
            throw new NetworkException($"Cannot set up {options.BridgeName}: {e.Message} It takes root and the packages iproute2 and nftables.", e);
        }
        catch
        {
            await bridge.DisposeAsync();
            throw;
        }

        Log.NetworkReady(logger, options.BridgeName, bridge.Prefix, mtu);
        return bridge;
    }

    /// <summary>The network as it was kept, for <see cref="RemoveAsync"/> alone: nothing is repaired first.</summary>
    public static GuestBridge ForRemoval(string folder, NetworkOptions options, ILogger logger, TimeProvider time)
    {
        Validate(options);
        RefuseForeignBridge(options.BridgeName, AliasOf(folder), folder);
        var known = SafeFile.ReadJson(Path.Combine(folder, RecordName), NetworkJson.Default.NetworkRecord);
        var record = known ?? new NetworkRecord(options.BridgeName, options.Prefix, Forwarding: true, null, "");
        return new GuestBridge(folder, options, record, 0, logger, time);
    }

    public GuestLease LeaseAt(int index) => GuestLease.Create(TapPrefix, Prefix, index);

    /// <summary>A guest's port of this bridge.</summary>
    /// <param name="group">Whose guests it reaches; empty for nobody's.</param>
    /// <param name="rate">Null for what all have that say nothing.</param>
    public BridgePort PortAt(int index, string group, RateLimits? rate) => new(LeaseAt(index), _record.Bridge) { Group = group, Rate = rate ?? _rate };

    /// <summary>A guest's port of a private network.</summary>
    /// <param name="place">The router's, or another.</param>
    public BridgePort PrivatePortAt(int network, int place, RateLimits? rate) => new(Networks.LeaseAt(network, place), Networks.BridgeOf(network))
    {
        IsIsolated = false,
        // Whoever is behind it.
        Routed = place == PrivateNetwork.RouterPlace ? [Everything] : [],
        Rate = rate ?? _rate,
    };

    /// <exception cref="NetworkException">The owner has one of this name or too many, or the host has no room.</exception>
    public Task<PrivateNetwork> CreateNetworkAsync(string owner, string name, int most, CancellationToken cancellationToken) =>
        Networks.CreateAsync(owner, name, _alias, most, cancellationToken);

    /// <summary>Makes a guest's tap and plugs it in. Whoever gets the handle keeps the tap alive.</summary>
    public async Task<SafeFileHandle?> PlugAsync(BridgePort port, CancellationToken cancellationToken)
    {
        var tap = Tap.Create(port.Lease.Tap);
        try
        {
            await ConfigurePortAsync(port, cancellationToken);
            return tap;
        }
        catch
        {
            tap.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Plugs in a container: a cable in place of a tap, with the same name, address and rules. It ends with the network that its other end
    /// is in, or with <see cref="UnplugAsync"/>.
    /// </summary>
    /// <param name="card">What the container calls its end.</param>
    /// <param name="prefixLength">Of the network, with its <paramref name="gateway"/>, null for none.</param>
    /// <param name="process">One in the container's network.</param>
    public async Task PlugCableAsync(BridgePort port, string card, int prefixLength, string? gateway, int process, CancellationToken cancellationToken)
    {
        _ = await CommandRunner.RunCheckedAsync(IpCommands.Batch(IpCommands.AddCable(port.Lease.Tap, card, port.Lease.Mac, process, _mtu)), cancellationToken);
        var setup = IpCommands.BatchIn(process, [.. IpCommands.BringUp("lo"), .. IpCommands.ConfigureCard(card, port.Lease.Address.ToString(), prefixLength, gateway)]);
        await Task.WhenAll(ConfigurePortAsync(port, cancellationToken), CommandRunner.RunCheckedAsync(setup, cancellationToken));
    }

    /// <summary>Plugs in an interface that has the tap's name, and lets the guest's address out of it, to those of its group as well.</summary>
    public async Task ConfigurePortAsync(BridgePort port, CancellationToken cancellationToken)
    {
        await Task.WhenAll(_rules.RunAsync(_firewall.Add(port, _groups.Of(port.Group)), cancellationToken), ReplugAsync(port, cancellationToken));
    }

    /// <summary>The same for one that was in another network meanwhile: its rules stayed.</summary>
    public async Task ReplugAsync(BridgePort port, CancellationToken cancellationToken)
    {
        var tap = port.Lease.Tap;
        DisableIpv6(tap);
        var limiting = LimitAsync(port, cancellationToken);
        _ = await CommandRunner.RunCheckedAsync(IpCommands.Batch([.. IpCommands.ConfigurePort(tap, port.Bridge, _mtu, port.IsIsolated), .. RoutesOf("replace", port)]), cancellationToken);
        _ = await CommandRunner.RunCheckedAsync(IpCommands.BridgeBatch(IpCommands.Forwarding(tap, port.Lease.Mac)), cancellationToken);
        await limiting;
    }

    public IEnumerable<string> FindErrors(MachineSpec spec) => [];

    /// <summary>Nothing: hypervisors use the computer's network.</summary>
    public Task ConnectAsync(UserCable cable, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Nothing: there is none.</summary>
    public void Follow(UserCable cable, ProcessIdentity uplink)
    {
    }

    /// <summary>Leads ports of the computer to a guest.</summary>
    /// <exception cref="NetworkException">A program or another machine has one of them; none is published.</exception>
    public async Task PublishAsync(GuestLease guest, IReadOnlyList<PortMapping> ports, CancellationToken cancellationToken)
    {
        if (ports.Count == 0)
            return;
        foreach (var port in ports)
            port.ThrowIfTaken();
        try
        {
            await _rules.RunAsync(_firewall.Publish(guest, ports), cancellationToken);
        }
        catch (CommandException e) when (e.Message.Contains("File exists", StringComparison.Ordinal))
        {
            throw new NetworkException($"Another machine has one of these ports already: {string.Join(", ", ports)}. Choose others, or stop that machine.", e);
        }
    }

    /// <summary>Takes back what <see cref="PublishAsync"/> gave. Only for ports that it gave: the kernel does not look whose they are.</summary>
    public async Task WithdrawAsync(GuestLease guest, IReadOnlyList<PortMapping> ports, CancellationToken cancellationToken)
    {
        if (ports.Count > 0)
            await _rules.TryAsync(_firewall.Withdraw(guest, ports), cancellationToken);
    }

    /// <summary>Takes the guest's rules away. A tap ended with its hypervisor; a cable would end some time later.</summary>
    public async Task UnplugAsync(BridgePort port, CancellationToken cancellationToken)
    {
        await _rules.TryAsync(_firewall.Delete(port, _groups.Of(port.Group)), cancellationToken);
        if (RoutesOf("delete", port).ToList() is { Count: > 0 } routes)
            _ = await CommandRunner.RunAsync(IpCommands.Batch(routes), cancellationToken);
        if (Exists(port.Lease.Tap))
            _ = await CommandRunner.RunAsync(IpCommands.Batch(IpCommands.DeleteLink(port.Lease.Tap)), cancellationToken);
    }

    /// <summary>Takes everything away, each step even if another fails.</summary>
    public async Task RemoveAsync(CancellationToken cancellationToken)
    {
        await _names.RemoveAsync(_record.NameServer, cancellationToken);
        await TryRunAsync(IpCommands.Nft(_firewall.Remove()), cancellationToken);
        _ = await CommandRunner.RunAsync(IpCommands.Batch(IpCommands.Reserve("delete", _firewall.PrivatePrefix)), cancellationToken);
        foreach (var bridge in PrivateNetworks.InterfacesThatBegin(PrivateNetworks.BridgePrefixOf(HostId)).Append(_record.Bridge).Where(Exists))
            await TryRunAsync(IpCommands.Batch(IpCommands.DeleteLink(bridge)), cancellationToken);
        if (!_record.Forwarding && !await OthersForwardAsync(cancellationToken))
            await File.WriteAllTextAsync(Forwarding, "0", cancellationToken);
        File.Delete(_recordPath);
    }

    public async ValueTask DisposeAsync()
    {
        await _names.DisposeAsync();
        _rules.Dispose();
        Networks.Dispose();
    }

    internal static string IdOf(string bridge) => Hash(bridge)[..6];

    private static string AliasOf(string folder) => $"byteport-{Hash(folder)[..16]}";

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    internal static void Validate(NetworkOptions options)
    {
        var name = options.BridgeName;
        if (name.Length is 0 or > 15 || name.Any(c => !char.IsAsciiLetterLower(c) && !char.IsAsciiDigit(c) && c != '-'))
            throw new NetworkException($"Bridge name '{name}' is not 1 to 15 of a-z, 0-9 and '-'.");
        if (!Ipv4Prefix.TryParse(options.Prefix, out var prefix) || prefix.Length is < 16 or > 28)
            throw new NetworkException($"Network prefix '{options.Prefix}' is not an IPv4 network of /16 to /28 such as 10.77.0.0/16.");
        if (!Ipv4Prefix.TryParse(options.PrivatePrefix, out var others) || others.Length is < 16 or > PrivateNetwork.PrefixLength)
            throw new NetworkException($"Prefix of private networks '{options.PrivatePrefix}' is not an IPv4 network of /16 to /{PrivateNetwork.PrefixLength} such as 10.78.0.0/16.");
        if (options.Rate?.FindErrors().FirstOrDefault() is { } rate)
            throw new NetworkException($"NetworkOptions: {rate}");
        foreach (var server in options.Upstreams ?? [])
        {
            if (!System.Net.IPEndPoint.TryParse(server.Replace('#', ':'), out _))
                throw new NetworkException($"Name server '{server}' is not an address such as 192.0.2.53 or 192.0.2.53#5353.");
        }
    }

    private static void RefuseForeignBridge(string bridge, string alias, string folder)
    {
        if (!Exists(bridge) || ReadOrEmpty($"/sys/class/net/{bridge}/ifalias").Trim() is var found && found == alias)
            return;
        throw new NetworkException(
            $"Interface {bridge} exists and is not that of the machines in {folder} (its alias is '{found}', not '{alias}'). "
            + $"Choose another NetworkOptions.BridgeName, or remove it with 'ip link delete {bridge}' if nothing uses it.");
    }

    /// <param name="beside">A prefix that is taken as well, or null.</param>
    internal static async Task<string> ChoosePrefixAsync(string prefix, NetworkOptions options, string? beside, ILogger logger, CancellationToken cancellationToken)
    {
        var routes = await CommandRunner.RunCheckedAsync(IpCommands.Routes(), cancellationToken);
        // A name server is reached by the default route as a rule; a guest network over it would cut the computer off from it.
        var servers = HostRoutes.NameServers(ReadOrEmpty("/etc/resolv.conf")).Select(a => Ipv4Prefix.TryParse(a.ToString(), out var p) ? p : (Ipv4Prefix?)null);
        var taken = HostRoutes.Parse(routes.StandardOutput, options.BridgeName).Concat(servers.OfType<Ipv4Prefix>()).ToList();
        if (beside is not null)
            taken.Add(Ipv4Prefix.Parse(beside));
        var wanted = Ipv4Prefix.Parse(prefix);
        var chosen = HostRoutes.ChooseFree(wanted, taken);
        if (chosen != wanted)
            Log.PrefixTaken(logger, wanted, chosen);
        return chosen.ToString();
    }

    private async Task RepairAsync(string alias, IReadOnlyCollection<(BridgePort Port, IReadOnlyList<PortMapping> Published)> guests, CancellationToken cancellationToken)
    {
        // 2
        var name = _record.Bridge;
        if (!Exists(name))
        {
            var mac = GuestLease.MacOf(Prefix.At(1));
            _ = await CommandRunner.RunCheckedAsync(IpCommands.Batch(IpCommands.AddBridge(name, mac, alias)), cancellationToken);
        }

        DisableIpv6(name);
        _ = await CommandRunner.RunCheckedAsync(IpCommands.Batch(IpCommands.ConfigureBridge(name, Prefix, _mtu)), cancellationToken);

        // Cables of containers that are no more, and that the kernel has not taken apart yet: their names are needed again.
        var ports = guests.Select(guest => guest.Port.Lease.Tap).ToHashSet();
        foreach (var port in PrivateNetworks.InterfacesThatBegin(TapPrefix).Concat(PrivateNetworks.InterfacesThatBegin(Networks.TapPrefix)).Where(port => !ports.Contains(port)))
            _ = await CommandRunner.RunAsync(IpCommands.Batch(IpCommands.DeleteLink(port)), cancellationToken);
        await Networks.RepairAsync(alias, cancellationToken);
        // Ways to routers that are no more, and back those to routers that are.
        _ = await CommandRunner.RunAsync(IpCommands.Batch([$"route flush root {_firewall.PrivatePrefix} dev {name}", .. IpCommands.Reserve("replace", _firewall.PrivatePrefix), .. guests.SelectMany(guest => RoutesOf("replace", guest.Port))]), cancellationToken);

        // 3, before 4: there is no moment in which packets are forwarded without rules.
        var published = guests.SelectMany(guest => guest.Published.Select(port => (guest.Port.Lease, port)));
        await _rules.RunAsync(_firewall.Install(guests.Select(guest => (guest.Port, _groups.Of(guest.Port.Group))), published), cancellationToken);
        // So that a published port answers on the loopback address too; guests' own packets to it are dropped by the rules.
        Switch($"conf/{name}/route_localnet", "1");
        // Guests of a group reach each other by this computer, where the rules are: it answers for each of them (RFC 3069), at once.
        Switch($"conf/{name}/proxy_arp_pvlan", "1");
        Switch($"neigh/{name}/proxy_delay", "0");
        Switch($"conf/{name}/send_redirects", "0");

        // 4
        if (!ReadForwarding())
        {
            await File.WriteAllTextAsync(Forwarding, "1", cancellationToken);
            Log.ForwardingTurnedOn(_logger, $"byteport_{HostId}");
        }

        // 5
        await _names.StartAsync(_record.NameServer, _record.NameServerArguments, SaveNameServer, cancellationToken);
    }

    /// <summary>A limit that was asked for is kept or the guest is not plugged in; that of all is left out where the kernel cannot do it.</summary>
    private async Task LimitAsync(BridgePort port, CancellationToken cancellationToken)
    {
        if (port.Rate?.Receive is not { } bits)
            return;
        var result = await CommandRunner.RunAsync(IpCommands.TcBatch(IpCommands.Rate(port.Lease.Tap, bits)), cancellationToken);
        if (result.Succeeded)
            return;
        if (port.Rate != _rate)
            throw new NetworkException($"The network's speed cannot be limited: {result.StandardError.Trim()} It takes the kernel's sch_tbf.");
        Log.RateNotLimited(_logger, port.Lease.Tap, result.StandardError.Trim());
    }

    /// <summary>Of a router's port of this bridge: the ways to the networks behind it. A private network has none of this computer's.</summary>
    private IEnumerable<string> RoutesOf(string verb, BridgePort port) => port.Bridge == _record.Bridge ? IpCommands.Routes(verb, port) : [];

    private void SaveNetworks(IReadOnlyList<PrivateNetwork> networks)
    {
        lock (_recordGate)
            Save(_record with { Networks = networks });
    }

    private void SaveNameServer(ProcessIdentity process)
    {
        lock (_recordGate)
            Save(_record with { NameServer = process, NameServerArguments = _names.Arguments });
    }

    private void Save(NetworkRecord record)
    {
        _record = record;
        SafeFile.WriteJson(_recordPath, record, NetworkJson.Default.NetworkRecord);
    }

    private async Task TryRunAsync(Command command, CancellationToken cancellationToken)
    {
        var result = await CommandRunner.RunAsync(command, cancellationToken);
        if (!result.Succeeded)
            Log.RemovalFailed(_logger, _record.Bridge, result.StandardError.Trim());
    }
}
