using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;

namespace NanoVms.Network;

/// <summary>
/// The network of one machine host: a bridge, its addresses, the rules that confine guests, and their name service.
/// Opening repairs whatever is missing; nothing of it ends with this process.
/// </summary>
internal sealed class GuestBridge : IAsyncDisposable
{
    private const string ForwardingSwitch = "/proc/sys/net/ipv4/ip_forward";
    private const string RecordName = "network.json";
    private const string ContainerCard = "eth0";
    private readonly string _recordPath;
    private readonly ILogger _logger;
    private readonly NameService _names;
    private readonly Firewall _firewall;
    private readonly SemaphoreSlim _rules = new(1);
    private readonly GroupNumbers _groups = new();
    private readonly Lock _recordGate = new();
    private readonly int _mtu;
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
        _firewall = new Firewall(HostId, record.Bridge, TapPrefix, Prefix);
        _names = new NameService(record.Bridge, Prefix, options, GuestLease.Create(TapPrefix, Prefix, 1).UserId, logger, time);
    }

    /// <summary>Names tables, taps and control groups; follows from the bridge's name, which no two hosts of a computer share.</summary>
    public string HostId { get; }

    public Ipv4Prefix Prefix { get; }

    /// <summary>Bytes; that of the interface by which packets leave the computer, so that none has to be cut.</summary>
    public int Mtu => _mtu;

    public AddressPool Pool { get; }

    public string TapPrefix => $"bp{HostId}-";

    /// <summary>Finds or makes the bridge. Steps: 1 prefix, 2 bridge, 3 rules with these guests, 4 forwarding, 5 name service.</summary>
    /// <param name="guests">Those that are alive.</param>
    public static async Task<GuestBridge> OpenAsync(
        string folder, NetworkOptions options, IReadOnlyCollection<BridgeGuest> guests, ILogger logger, TimeProvider time, CancellationToken cancellationToken)
    {
        Validate(options);
        var alias = AliasOf(folder);
        RefuseForeignBridge(options.BridgeName, alias, folder);

        // 1
        var known = SafeFile.ReadJson(Path.Combine(folder, RecordName), NetworkJson.Default.NetworkRecord);
        var record = known is not null && known.Bridge == options.BridgeName
            ? known
            : new NetworkRecord(options.BridgeName, await ChoosePrefixAsync(options, logger, cancellationToken), ReadForwarding(), null, "");
        var mtu = HostRoutes.EgressMtu(ReadOrEmpty("/proc/net/route"), MtuOf);
        var bridge = new GuestBridge(folder, options, record, mtu, logger, time);
        bridge.Save(record);
        try
        {
            await bridge.RepairAsync(alias, guests, cancellationToken);
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

    /// <summary>Makes a guest's tap and plugs it in. Whoever gets the handle keeps the tap alive.</summary>
    public async Task<SafeFileHandle> PlugAsync(GuestLease guest, string group, CancellationToken cancellationToken)
    {
        var tap = Tap.Create(guest.Tap);
        try
        {
            await ConfigurePortAsync(guest, group, cancellationToken);
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
    /// <param name="process">One in the container's network.</param>
    public async Task PlugCableAsync(GuestLease guest, string group, int process, CancellationToken cancellationToken)
    {
        _ = await CommandRunner.RunCheckedAsync(IpCommands.Batch(IpCommands.AddCable(guest.Tap, ContainerCard, guest.Mac, process, _mtu)), cancellationToken);
        var card = IpCommands.BatchIn(process, [.. IpCommands.BringUp("lo"), .. IpCommands.ConfigureCard(ContainerCard, guest.Address.ToString(), Prefix)]);
        await Task.WhenAll(ConfigurePortAsync(guest, group, cancellationToken), CommandRunner.RunCheckedAsync(card, cancellationToken));
    }

    /// <summary>Isolates an interface that has the tap's name, and lets the guest's address out of it, to those of its group as well.</summary>
    public async Task ConfigurePortAsync(GuestLease guest, string group, CancellationToken cancellationToken)
    {
        DisableIpv6(guest.Tap);
        var allow = RunRulesAsync(_firewall.Add(guest, _groups.Of(group)), cancellationToken);
        _ = await CommandRunner.RunCheckedAsync(IpCommands.Batch(IpCommands.ConfigurePort(guest.Tap, _record.Bridge, _mtu)), cancellationToken);
        _ = await CommandRunner.RunCheckedAsync(IpCommands.BridgeBatch(IpCommands.Forwarding(guest.Tap, guest.Mac)), cancellationToken);
        await allow;
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
            await RunRulesAsync(_firewall.Publish(guest, ports), cancellationToken);
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
            await TryRulesAsync(_firewall.Withdraw(guest, ports), cancellationToken);
    }

    /// <summary>Takes the guest's rule away. A tap ended with its hypervisor; a cable would end some time later.</summary>
    public async Task UnplugAsync(GuestLease guest, string group, CancellationToken cancellationToken)
    {
        await TryRulesAsync(_firewall.Delete(guest, _groups.Of(group)), cancellationToken);
        if (Exists(guest.Tap))
            _ = await CommandRunner.RunAsync(IpCommands.Batch(IpCommands.DeleteLink(guest.Tap)), cancellationToken);
    }

    /// <summary>Takes everything away, each step even if another fails.</summary>
    public async Task RemoveAsync(CancellationToken cancellationToken)
    {
        await _names.RemoveAsync(_record.NameServer, cancellationToken);
        await TryRunAsync(IpCommands.Nft(_firewall.Remove()), cancellationToken);
        if (Exists(_record.Bridge))
            await TryRunAsync(IpCommands.Batch(IpCommands.DeleteLink(_record.Bridge)), cancellationToken);
        if (!_record.Forwarding && !await OthersForwardAsync(cancellationToken))
            await File.WriteAllTextAsync(ForwardingSwitch, "0", cancellationToken);
        File.Delete(_recordPath);
    }

    public async ValueTask DisposeAsync()
    {
        await _names.DisposeAsync();
        _rules.Dispose();
    }

    internal static string IdOf(string bridge) => Hash(bridge)[..6];

    private static string AliasOf(string folder) => $"byteport-{Hash(folder)[..16]}";

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static void Validate(NetworkOptions options)
    {
        var name = options.BridgeName;
        if (name.Length is 0 or > 15 || name.Any(c => !char.IsAsciiLetterLower(c) && !char.IsAsciiDigit(c) && c != '-'))
            throw new NetworkException($"Bridge name '{name}' is not 1 to 15 of a-z, 0-9 and '-'.");
        if (!Ipv4Prefix.TryParse(options.Prefix, out var prefix) || prefix.Length is < 16 or > 28)
            throw new NetworkException($"Network prefix '{options.Prefix}' is not an IPv4 network of /16 to /28 such as 10.77.0.0/16.");
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

    private static async Task<string> ChoosePrefixAsync(NetworkOptions options, ILogger logger, CancellationToken cancellationToken)
    {
        var routes = await CommandRunner.RunCheckedAsync(IpCommands.Routes(), cancellationToken);
        // A name server is reached by the default route as a rule; a guest network over it would cut the computer off from it.
        var servers = HostRoutes.NameServers(ReadOrEmpty("/etc/resolv.conf")).Select(a => Ipv4Prefix.TryParse(a.ToString(), out var p) ? p : (Ipv4Prefix?)null);
        var taken = HostRoutes.Parse(routes.StandardOutput, options.BridgeName).Concat(servers.OfType<Ipv4Prefix>()).ToList();
        var wanted = Ipv4Prefix.Parse(options.Prefix);
        var chosen = HostRoutes.ChooseFree(wanted, taken);
        if (chosen != wanted)
            Log.PrefixTaken(logger, wanted, chosen);
        return chosen.ToString();
    }

    private async Task RepairAsync(string alias, IReadOnlyCollection<BridgeGuest> guests, CancellationToken cancellationToken)
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
        var ports = guests.Select(guest => LeaseAt(guest.Place).Tap).ToHashSet();
        foreach (var port in Directory.EnumerateDirectories("/sys/class/net", TapPrefix + "*").Select(path => Path.GetFileName(path)!).Where(port => !ports.Contains(port)))
            _ = await CommandRunner.RunAsync(IpCommands.Batch(IpCommands.DeleteLink(port)), cancellationToken);

        // 3, before 4: there is no moment in which packets are forwarded without rules.
        var published = guests.SelectMany(guest => guest.Ports.Select(port => (LeaseAt(guest.Place), port)));
        await RunRulesAsync(_firewall.Install(guests.Select(guest => (LeaseAt(guest.Place), _groups.Of(guest.Group))), published), cancellationToken);
        // So that a published port answers on the loopback address too; guests' own packets to it are dropped by the rules.
        Switch($"conf/{name}/route_localnet", "1");
        // Guests of a group reach each other by this computer, where the rules are: it answers for each of them (RFC 3069), at once.
        Switch($"conf/{name}/proxy_arp_pvlan", "1");
        Switch($"neigh/{name}/proxy_delay", "0");
        Switch($"conf/{name}/send_redirects", "0");

        // 4
        if (!ReadForwarding())
        {
            await File.WriteAllTextAsync(ForwardingSwitch, "1", cancellationToken);
            Log.ForwardingTurnedOn(_logger, $"byteport_{HostId}");
        }

        // 5
        await _names.StartAsync(_record.NameServer, _record.NameServerArguments, SaveNameServer, cancellationToken);
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

    private async Task RunRulesAsync(string script, CancellationToken cancellationToken)
    {
        await _rules.WaitAsync(cancellationToken);
        try
        {
            _ = await CommandRunner.RunCheckedAsync(IpCommands.Nft(script), cancellationToken);
        }
        finally
        {
            _ = _rules.Release();
        }
    }

    /// <summary>For removals, which fail when the rule is not there: what is wanted.</summary>
    private async Task TryRulesAsync(string script, CancellationToken cancellationToken)
    {
        await _rules.WaitAsync(cancellationToken);
        try
        {
            _ = await CommandRunner.RunAsync(IpCommands.Nft(script), cancellationToken);
        }
        finally
        {
            _ = _rules.Release();
        }
    }

    private async Task TryRunAsync(Command command, CancellationToken cancellationToken)
    {
        var result = await CommandRunner.RunAsync(command, cancellationToken);
        if (!result.Succeeded)
            Log.RemovalFailed(_logger, _record.Bridge, result.StandardError.Trim());
    }

    private static async Task<bool> OthersForwardAsync(CancellationToken cancellationToken)
    {
        var tables = await CommandRunner.RunAsync(new Command("nft", "list", "tables"), cancellationToken);
        return tables.StandardOutput.Contains("inet byteport_", StringComparison.Ordinal);
    }

    private static void DisableIpv6(string device)
    {
        var path = $"/proc/sys/net/ipv6/conf/{device}/disable_ipv6";
        // Missing on a kernel without IPv6.
        if (File.Exists(path))
            File.WriteAllText(path, "1");
    }

    private static void Switch(string name, string value) => File.WriteAllText($"/proc/sys/net/ipv4/{name}", value);

    private static bool Exists(string device) => Directory.Exists($"/sys/class/net/{device}");

    private static bool ReadForwarding() => ReadOrEmpty(ForwardingSwitch).Trim() == "1";

    private static int? MtuOf(string device) =>
        int.TryParse(ReadOrEmpty($"/sys/class/net/{device}/mtu"), CultureInfo.InvariantCulture, out var mtu) ? mtu : null;

    private static string ReadOrEmpty(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
