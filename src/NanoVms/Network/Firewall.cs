using System.Net;
using System.Text;

namespace NanoVms.Network;

/// <summary>Writes the nftables scripts of one bridge. Pure: the scripts are run elsewhere, each as one transaction.</summary>
internal sealed record Firewall(string HostId, string Bridge, string TapPrefix, Ipv4Prefix Prefix)
{
    /// <summary>Open connections one guest may have, so that it cannot fill the host's connection table.</summary>
    public const int MaxConnections = 4096;

    /// <summary>
    /// Where guests may never go: this network, private, shared (CGNAT), loopback, link-local (cloud metadata), benchmarking,
    /// multicast and reserved addresses (RFC 6890). Documentation networks are let through: they are nobody's secret.
    /// </summary>
    public static readonly IReadOnlyList<string> Forbidden =
    [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3",
    ];

    private string Table => $"byteport_{HostId}";

    private IPAddress Gateway => Prefix.At(1);

    /// <summary>Replaces whatever is there by the whole rule set with these guests.</summary>
    public string Install(IEnumerable<GuestLease> guests)
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
              chain input {
                type filter hook input priority filter - 5; policy accept;
                iifname "{{Bridge}}" jump guest_to_host
              }
              chain guest_to_host {
                meta nfproto != ipv4 drop
                ip saddr != {{Prefix}} drop
                ct state established,related accept
                ct state invalid drop
                ip daddr {{Gateway}} udp dport 53 accept
                ip daddr {{Gateway}} tcp dport 53 accept
                reject with icmpx admin-prohibited
              }
              chain forward {
                type filter hook forward priority filter - 5; policy accept;
                iifname "{{Bridge}}" jump guest_to_world
                oifname "{{Bridge}}" jump world_to_guest
              }
              chain guest_to_world {
                meta nfproto != ipv4 drop
                ip saddr != {{Prefix}} drop
                oifname "{{Bridge}}" reject with icmpx admin-prohibited
                ip daddr @forbidden reject with icmpx admin-prohibited
                ct state invalid drop
                ct state new add @connections { ip saddr ct count over {{MaxConnections}} } reject with icmpx admin-prohibited
                tcp flags syn / syn,rst tcp option maxseg size set rt mtu
              }
              chain world_to_guest {
                ct state established,related accept
                drop
              }
              chain postrouting {
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr {{Prefix}} oifname != "{{Bridge}}" masquerade
              }
            }
            table bridge {{Table}} {
              set guests {
                type ifname . ether_addr . ipv4_addr
              }
              chain prerouting {
                type filter hook prerouting priority -300; policy accept;
                iifname "{{TapPrefix}}*" jump from_guest
              }
              chain from_guest {
                ether type ip iifname . ether saddr . ip saddr @guests accept
                arp operation { request, reply } iifname . ether saddr . arp saddr ip @guests iifname . arp saddr ether . arp saddr ip @guests accept
                drop
              }
            }

            """);
        foreach (var guest in guests)
            script.Append(Add(guest));
        return script.ToString();
    }

    /// <summary>Lets a guest's address out of its own tap, and no other.</summary>
    public string Add(GuestLease guest) => $"add element bridge {Table} guests {{ {Element(guest)} }}\n";

    public string Delete(GuestLease guest) => $"delete element bridge {Table} guests {{ {Element(guest)} }}\n";

    /// <summary>Works whether the tables are there or not.</summary>
    public string Remove() =>
        $"table inet {Table}\ndelete table inet {Table}\ntable bridge {Table}\ndelete table bridge {Table}\n";

    private static string Element(GuestLease guest) => $"\"{guest.Tap}\" . {guest.Mac} . {guest.Address}";
}
