using System.Globalization;
using NanoVms.Commands;

namespace NanoVms.Network;

/// <summary>The ip, bridge and nft commands of the guests' network, as argument lists and batches.</summary>
internal static class IpCommands
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    public static Command Batch(IEnumerable<string> lines) => new("ip", "-batch", "-") { StandardInput = Join(lines), Timeout = Limit };

    public static Command BridgeBatch(IEnumerable<string> lines) => new("bridge", "-batch", "-") { StandardInput = Join(lines), Timeout = Limit };

    public static Command Nft(string script) => new("nft", "-f", "-") { StandardInput = script, Timeout = Limit };

    public static Command Routes() => new("ip", "-json", "-4", "route", "show", "table", "all") { Timeout = Limit };

    public static IEnumerable<string> AddBridge(string bridge, string mac, string alias) =>
    [
        $"link add name {bridge} address {mac} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        $"link set dev {bridge} alias {alias}",
    ];

    public static IEnumerable<string> ConfigureBridge(string bridge, Ipv4Prefix prefix, int mtu) =>
    [
        $"address replace {prefix.At(1)}/{prefix.Length.ToString(CultureInfo.InvariantCulture)} dev {bridge}",
        $"link set dev {bridge} mtu {mtu.ToString(CultureInfo.InvariantCulture)} up",
    ];

    /// <summary>A bridge on which the computer has no address.</summary>
    public static IEnumerable<string> RaiseBridge(string bridge, int mtu) => [$"link set dev {bridge} mtu {mtu.ToString(CultureInfo.InvariantCulture)} up"];

    /// <summary>Says to the computer that a prefix is somebody's and leads nowhere, but for longer prefixes that do: others see that it is taken.</summary>
    public static IEnumerable<string> Reserve(string verb, Ipv4Prefix prefix) => [$"route {verb} unreachable {prefix} metric 4278198272"];

    /// <summary>The way to networks behind a guest that is a router.</summary>
    public static IEnumerable<string> Routes(string verb, BridgePort port) =>
        port.Routed.Select(prefix => $"route {verb} {prefix} via {port.Lease.Address} dev {port.Bridge}");

    public static Command TcBatch(IEnumerable<string> lines) => new("tc", "-batch", "-") { StandardInput = Join(lines), Timeout = Limit };

    /// <summary>
    /// What goes to a guest waits its turn. What comes from it and is too much, beyond a second of its rate, the rules drop, so that its own TCP slows down: a bridge has
    /// no queue for what comes in.
    /// </summary>
    public static IEnumerable<string> Rate(string port, long bits) =>
        [string.Create(CultureInfo.InvariantCulture, $"qdisc replace dev {port} root tbf rate {bits}bit burst {Bucket(bits / 8)} latency 100ms")];

    /// <summary>Bytes that may go at once: those of 20 ms, and at least two of the largest packets, which are 64 KiB before they are cut.</summary>
    public static long Bucket(long bytesPerSecond) => Math.Clamp(bytesPerSecond / 50, 128 << 10, 64 << 20);

    /// <summary>Into the network of a process, which takes it down and off its bridge.</summary>
    public static IEnumerable<string> MoveLink(string name, int process) => [string.Create(CultureInfo.InvariantCulture, $"link set dev {name} netns {process}")];

    /// <summary>A tap that stays until its network goes, for whoever is this user.</summary>
    /// <param name="address">With its length.</param>
    public static IEnumerable<string> AddTap(string tap, string mac, string address, int mtu) =>
    [
        "link set dev lo up",
        $"tuntap add dev {tap} mode tap vnet_hdr user 0",
        string.Create(CultureInfo.InvariantCulture, $"link set dev {tap} address {mac} mtu {mtu} up"),
        $"address add {address} dev {tap}",
    ];

    /// <summary>Passes packets on, also those of published ports that come from the loopback address; none of IPv6.</summary>
    public static Command PassOn(string tap) =>
        new("sysctl", "-eqw", "net.ipv4.ip_forward=1", $"net.ipv4.conf.{tap}.route_localnet=1", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1") { Timeout = Limit };

    public static IEnumerable<string> DeleteLink(string name) => [$"link delete dev {name}"];

    /// <summary>
    /// Isolated ports reach the bridge itself but not each other; without flooding and with a fixed forwarding entry
    /// a guest never sees a frame that is meant for another.
    /// </summary>
    public static IEnumerable<string> ConfigurePort(string port, string bridge, int mtu, bool isolated) =>
    [
        $"link set dev {port} master {bridge} mtu {mtu.ToString(CultureInfo.InvariantCulture)}",
        $"link set dev {port} type bridge_slave isolated {(isolated ? "on" : "off")} learning off flood off mcast_flood off",
        $"link set dev {port} up",
    ];

    public static IEnumerable<string> Forwarding(string port, string mac) => [$"fdb replace {mac} dev {port} master static"];

    /// <summary>The same in a process's network.</summary>
    public static Command BatchIn(int process, IEnumerable<string> lines) => Batch(lines) with
    {
        Program = "nsenter",
        Arguments = [$"--net=/proc/{process.ToString(CultureInfo.InvariantCulture)}/ns/net", "--", ProgramLocator.Require("ip"), "-batch", "-"],
    };

    /// <summary>Whether packets are passed on in a process's network.</summary>
    public static Command Forward(int process, bool on) => new(
        "nsenter", $"--net=/proc/{process.ToString(CultureInfo.InvariantCulture)}/ns/net", "--", ProgramLocator.Require("sysctl"), "-qw", $"net.ipv4.ip_forward={(on ? "1" : "0")}")
    {
        Timeout = Limit,
    };

    /// <summary>A cable whose other end is a card in a process's network.</summary>
    public static IEnumerable<string> AddCable(string port, string card, string mac, int process, int mtu) =>
        [string.Create(CultureInfo.InvariantCulture, $"link add name {port} mtu {mtu} type veth peer name {card} address {mac} mtu {mtu} netns {process}")];

    public static IEnumerable<string> BringUp(string card) => [$"link set dev {card} up"];

    public static IEnumerable<string> ConfigureCard(string card, string address, int prefixLength, string? gateway) =>
    [
        string.Create(CultureInfo.InvariantCulture, $"address add {address}/{prefixLength} broadcast + dev {card}"),
        .. BringUp(card),
        .. gateway is null ? (string[])[] : [$"route add default via {gateway}"],
    ];

    private static string Join(IEnumerable<string> lines) => string.Join('\n', lines) + "\n";
}
