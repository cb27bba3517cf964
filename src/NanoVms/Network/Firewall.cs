using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace NanoVms.Network;

/// <summary>Writes the nftables scripts of one bridge. Pure: the scripts are run elsewhere, each as one transaction.</summary>
internal sealed record Firewall(string HostId, string Bridge, Ipv4Prefix Prefix, Ipv4Prefix PrivatePrefix)
{
    /// <summary>Open connections one guest may have, so that it cannot fill the host's connection table.</summary>
    public const int MaxConnections = 4096;

    /// <summary>Connections that one guest may begin in a second, over some time; four times as many at once.</summary>
    public const int MaxNewConnections = 500;

    /// <summary>
    /// Where guests may never go: this network, private, shared (CGNAT), loopback, link-local (cloud metadata), benchmarking,
    /// multicast and reserved addresses (RFC 6890). Documentation networks are let through: they are nobody's secret.
    /// </summary>
    public static readonly IReadOnlyList<string> Forbidden =
    [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3",
    ];

    private static readonly Ipv4Prefix[] ForbiddenPrefixes = [.. Forbidden.Select(Ipv4Prefix.Parse)];

    /// <summary>True for an address that no stranger may make the computer speak to; of IPv6 only global unicast addresses are public.</summary>
    public static bool IsPrivate(IPAddress address) => address.AddressFamily == AddressFamily.InterNetwork
        ? ForbiddenPrefixes.Any(prefix => prefix.Contains(address))
        : address.GetAddressBytes()[0] >> 5 != 1;

    private string Taps => $"bp{HostId}";

    private string PrivateBridges => PrivateNetworks.BridgePrefixOf(HostId);

    private string Table => $"byteport_{HostId}";

    private IPAddress Gateway => Prefix.At(1);

    /// <summary>Replaces whatever is there by the whole rule set with these guests.</summary>
    public string Install(IEnumerable<(BridgePort Port, uint Group)> guests, IEnumerable<(GuestLease Guest, PortMapping Port)> ports)
    {
        var script = new StringBuilder(Remove());
        script.Append(
            $$"""
            table inet {{Table}} {
              set forbidden {
                type ipv4_addr
                flags interval
                elements = { {{string.Join(", ", Forbidden)}} }
              }
              set connections {
                type ipv4_addr
                size 65535
                flags dynamic
              }
              # The same for all guests behind a router together.
              set routed_connections {
                type ipv4_addr
                size 65535
                flags dynamic
              }
              set rates {
                type ipv4_addr
                size 65535
                flags dynamic,timeout
                timeout 1m
              }
              # Guests by the group that they are in, and groups by their guests.
              map groups {
                type ipv4_addr : mark
              }
              set members {
                type ipv4_addr . mark
              }
              map published {
                type inet_proto . inet_service : ipv4_addr . inet_service
              }
              map published_at {
                type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
              }
              chain passing {
                type filter hook prerouting priority raw; policy accept;
                # Where bridges ask these tables as well (br_netfilter), what stays within a private network is none of theirs.
                iifname "{{PrivateBridges}}*" notrack
              }
              chain input {
                type filter hook input priority filter - 5; policy accept;
                iifname "{{Bridge}}" jump guest_to_host
                iifname "{{PrivateBridges}}*" drop
              }
              chain guest_to_host {
                meta nfproto != ipv4 drop
                ip saddr != { {{Prefix}}, {{PrivatePrefix}} } drop
                ct state established,related accept
                ct state invalid drop
                ip daddr {{Gateway}} udp dport 53 accept
                ip daddr {{Gateway}} tcp dport 53 accept
                reject with icmpx admin-prohibited
              }
              chain output {
                type filter hook output priority filter - 5; policy accept;
                # Guests of a group have no shorter way to each other than by this computer.
                oifname "{{Bridge}}" icmp type redirect drop
                # Hypervisors have networks of their own; should one see this one, it has nothing to say in it.
                meta skuid {{GuestLease.UserIdOf(Prefix.At(2))}}-{{GuestLease.UserIdOf(Prefix.At(Prefix.Count - 1))}} reject with icmpx admin-prohibited
              }
              chain forward {
                type filter hook forward priority filter - 5; policy accept;
                # Only from port to port: there is no way to a private network by its bridge.
                iifname "{{PrivateBridges}}*" oifname "{{PrivateBridges}}*" accept
                iifname "{{PrivateBridges}}*" drop
                oifname "{{PrivateBridges}}*" drop
                iifname "{{Bridge}}" jump guest_to_world
                oifname "{{Bridge}}" jump world_to_guest
              }
              chain guest_to_world {
                meta nfproto != ipv4 drop
                ip saddr != { {{Prefix}}, {{PrivatePrefix}} } drop
                oifname "{{Bridge}}" goto guest_to_guest
                tcp flags syn / syn,rst tcp option maxseg size set rt mtu
                # Who asked at a published port is answered, wherever that is.
                ct direction reply ct status dnat accept
                ip daddr @forbidden reject with icmpx admin-prohibited
                ct state invalid drop
                ip saddr {{PrivatePrefix}} ct state new add @routed_connections { ip saddr & 255.255.255.0 ct count over {{MaxConnections}} } reject with icmpx admin-prohibited
                ct state new add @connections { ip saddr ct count over {{MaxConnections}} } reject with icmpx admin-prohibited
                ct state new update @rates { ip saddr limit rate over {{MaxNewConnections}}/second burst {{4 * MaxNewConnections}} packets } drop
              }
              chain guest_to_guest {
                ct state invalid drop
                ct state new add @connections { ip saddr ct count over {{MaxConnections}} } reject with icmpx admin-prohibited
                ct state new update @rates { ip saddr limit rate over {{MaxNewConnections}}/second burst {{4 * MaxNewConnections}} packets } drop
                # Both ends are guests, so nobody else reads the mark; a guest without a group keeps 0, which no group is.
                meta mark set 0
                meta mark set ip saddr map @groups
                ip daddr . meta mark @members meta mark set 0 accept
                reject with icmpx admin-prohibited
              }
              chain world_to_guest {
                ct state established,related accept
                ct status dnat accept
                drop
              }
              chain arriving {
                type nat hook prerouting priority dstnat; policy accept;
                iifname != "{{Bridge}}" fib daddr type local jump publish
              }
              chain leaving {
                type nat hook output priority -100; policy accept;
                fib daddr type local jump publish
              }
              chain publish {
                dnat ip to ip daddr . meta l4proto . th dport map @published_at
                dnat ip to meta l4proto . th dport map @published
              }
              chain postrouting {
                type nat hook postrouting priority srcnat; policy accept;
                oifname "{{Bridge}}" ip saddr 127.0.0.0/8 masquerade
                ip saddr { {{Prefix}}, {{PrivatePrefix}} } oifname != "{{Bridge}}" masquerade
              }
            }
            table bridge {{Table}} {
              set guests {
                type ifname . ether_addr . ipv4_addr
              }
              # Ports of guests that are routers, and the networks whose packets they bring.
              set routers {
                type ifname . ether_addr
              }
              set routed {
                type ether_addr . ipv4_addr
                flags interval
              }
              # Ports with what their guests may send.
              set sending {
                type ifname
                limit rate over 1 bytes/second
              }
              chain prerouting {
                type filter hook prerouting priority -300; policy accept;
                iifname "{{Taps}}-*" jump from_guest
                iifname "{{Taps}}n*" jump from_guest
              }
              chain input {
                type filter hook input priority -200; policy accept;
                # The computer is not in private networks.
                iifname "{{Taps}}n*" drop
              }
              chain from_guest {
                iifname @sending drop
                ether type ip iifname . ether saddr . ip saddr @guests accept
                ether type ip iifname . ether saddr @routers ether saddr . ip saddr @routed accept
                arp operation { request, reply } iifname . ether saddr . arp saddr ip @guests iifname . arp saddr ether . arp saddr ip @guests accept
                drop
              }
            }

            """);
        foreach (var (guest, group) in guests)
            script.Append(Add(guest, group));
        foreach (var (guest, port) in ports)
            script.Append(Publish(guest, [port]));
        return script.ToString();
    }

    /// <summary>Lets a guest's address out of its own tap, and no other but what it routes, and the guest reach those of its group, 0 for none.</summary>
    public string Add(BridgePort port, uint group) => Guest("add", port, group);

    public string Delete(BridgePort port, uint group) => Guest("delete", port, group);

    /// <summary>Leads ports of the computer to the guest. Fails as a whole when another guest has one of them.</summary>
    public string Publish(GuestLease guest, IEnumerable<PortMapping> ports) => Ports("create", guest, ports);

    public string Withdraw(GuestLease guest, IEnumerable<PortMapping> ports) => Ports("delete", guest, ports);

    /// <summary>Works whether the tables are there or not.</summary>
    public string Remove() =>
        $"table inet {Table}\ndelete table inet {Table}\ntable bridge {Table}\ndelete table bridge {Table}\n";

    private string Ports(string verb, GuestLease guest, IEnumerable<PortMapping> ports) => string.Concat(ports.Select(port =>
        $"{verb} element inet {Table} {(port.HostAddress is null ? "published" : "published_at")} "
        + $"{{ {(port.HostAddress is null ? "" : $"{port.HostAddress} . ")}{port.Name} . {port.HostPort} : {guest.Address} . {port.GuestPort} }}\n"));

    private string Guest(string verb, BridgePort port, uint group)
    {
        var guest = port.Lease;
        var lines = new List<string> { $"bridge {Table} guests {{ {Element(guest)} }}" };
        if (group != 0)
        {
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"inet {Table} groups {{ {guest.Address} : {group} }}"));
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"inet {Table} members {{ {guest.Address} . {group} }}"));
        }

        if (port.Rate?.Send is { } bits)
            lines.Add($"bridge {Table} sending {{ \"{guest.Tap}\"{(verb == "add" ? Limit(bits / 8) : "")} }}");
        if (port.Routed.Count > 0)
            lines.Add($"bridge {Table} routers {{ \"{guest.Tap}\" . {guest.Mac} }}");
        lines.AddRange(port.Routed.Select(prefix => $"bridge {Table} routed {{ {guest.Mac} . {prefix} }}"));
        return string.Concat(lines.Select(line => $"{verb} element {line}\n"));
    }

    private static string Limit(long bytes) =>
        string.Create(CultureInfo.InvariantCulture, $" limit rate over {bytes} bytes/second burst {IpCommands.Bucket(bytes)} bytes");

    private static string Element(GuestLease guest) => $"\"{guest.Tap}\" . {guest.Mac} . {guest.Address}";
}
