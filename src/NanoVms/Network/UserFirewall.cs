using System.Globalization;
using System.Net;

namespace NanoVms.Network;

/// <summary>Writes the rules of one machine's own network, in which nobody is but its hypervisor. Pure.</summary>
/// <param name="Own">Addresses of this computer, which <see cref="Uplink"/> would connect to as anything on it does.</param>
/// <param name="NameServer">That the guest's questions go to.</param>
internal sealed record UserFirewall(GuestLease Guest, IPAddress Gateway, IReadOnlyList<IPAddress> Own, IPEndPoint NameServer, IReadOnlyList<PortMapping> Ports)
{
    private string Tap => Guest.Tap;

    public string Install() =>
        $$"""
        table inet nanovms {
          set forbidden {
            type ipv4_addr
            flags interval
            elements = { {{string.Join(", ", Firewall.Forbidden)}} }
          }
          set own {
            type ipv4_addr
            {{(Own.Count == 0 ? "" : $"elements = {{ {string.Join(", ", Own)} }}")}}
          }
          set connections {
            type ipv4_addr
            flags dynamic
          }
          set rates {
            type ipv4_addr
            flags dynamic,timeout
            timeout 1m
          }
          chain input {
            type filter hook input priority filter; policy drop;
            ct state established,related accept
            iifname "{{Tap}}" reject with icmpx admin-prohibited
          }
          # The hypervisor is in this network, and has nothing to say in it.
          chain output {
            type filter hook output priority filter; policy drop;
            ct state established,related accept
            # Published ports; by which card it leaves is not known here yet.
            ct status dnat accept
          }
          chain forward {
            type filter hook forward priority filter; policy drop;
            meta nfproto != ipv4 drop
            ct state invalid drop
            iifname "{{Tap}}" oifname "{{Uplink.Card}}" jump guest_to_world
            iifname "{{Uplink.Card}}" oifname "{{Tap}}" ct state established,related accept
            iifname "{{Uplink.Card}}" oifname "{{Tap}}" ct status dnat accept
          }
          chain guest_to_world {
            ip saddr != {{Guest.Address}} drop
            tcp flags syn / syn,rst tcp option maxseg size set rt mtu
            ct state established,related accept
            ct state new add @connections { ip saddr ct count over {{Firewall.MaxConnections}} } reject with icmpx admin-prohibited
            ct state new update @rates { ip saddr limit rate over {{Firewall.MaxNewConnections}}/second burst {{4 * Firewall.MaxNewConnections}} packets } drop
            # Names, the only thing that the guest is led to.
            ct status dnat accept
            ip daddr @forbidden reject with icmpx admin-prohibited
            ip daddr @own reject with icmpx admin-prohibited
            accept
          }
          chain arriving {
            type nat hook prerouting priority dstnat; policy accept;
            iifname "{{Tap}}" ip daddr {{Gateway}} meta l4proto { tcp, udp } th dport 53 dnat ip to {{NameServer.Address}}:{{NameServer.Port.ToString(CultureInfo.InvariantCulture)}}
            {{Publish($"iifname \"{Uplink.Card}\" ip daddr {Uplink.Inner}")}}
          }
          # From this computer itself it comes as from the namespace's own loopback address.
          chain leaving {
            type nat hook output priority -100; policy accept;
            {{Publish("ip daddr 127.0.0.0/8")}}
          }
          chain postrouting {
            type nat hook postrouting priority srcnat; policy accept;
            oifname "{{Tap}}" ip saddr 127.0.0.0/8 masquerade
            oifname "{{Uplink.Card}}" masquerade
          }
        }

        """;

    /// <summary>Another list of this computer's addresses, in place of the one before.</summary>
    public static string Replace(IReadOnlyList<IPAddress> own) =>
        $"flush set inet nanovms own\n{(own.Count == 0 ? "" : $"add element inet nanovms own {{ {string.Join(", ", own)} }}\n")}";

    /// <summary>The numbers are the computer's until here.</summary>
    private string Publish(string where) => string.Join("\n    ", Ports.Select(port => (port.Name, port.HostPort, port.GuestPort)).Distinct()
        .Select(port => string.Create(CultureInfo.InvariantCulture, $"{where} {port.Name} dport {port.HostPort} dnat ip to {Guest.Address}:{port.GuestPort}")));
}
