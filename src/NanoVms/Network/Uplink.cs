using System.Globalization;
using System.Net;
using NanoVms.Commands;

namespace NanoVms.Network;

/// <summary>
/// passt in its form for namespaces: carries packets between a network namespace and the computer's sockets, as an ordinary user. Writes
/// its arguments; pure.
/// </summary>
internal static class Uplink
{
    public const string Program = "pasta";

    /// <summary>Name of its card in the namespace.</summary>
    public const string Card = "uplink";

    /// <summary>In the machine's folder: written once it carries packets.</summary>
    public const string PidFile = "uplink.pid";

    /// <summary>Of the namespace, and the computer's as seen from there. Kept for such use within a computer (RFC 7335), and for guests forbidden.</summary>
    public static readonly IPAddress Inner = IPAddress.Parse("192.0.0.2");

    public static readonly IPAddress Outer = IPAddress.Parse("192.0.0.1");

    private const string PrefixLength = "30";

    /// <summary>How the argument begins by which such processes are found among all others.</summary>
    /// <param name="machines">Holds a folder per machine.</param>
    public static string MarkOf(string machines) => $"--pid={machines}/";

    /// <param name="process">One in the namespace.</param>
    /// <param name="machine">The machine's folder.</param>
    /// <param name="asksThisComputer">True when the names' server listens on this computer's loopback address only.</param>
    public static Command Build(int process, string machine, IReadOnlyList<PortMapping> ports, int mtu, bool asksThisComputer) => new(
        Program,
        [
            "--foreground", "--quiet", "--ipv4-only", $"--pid={machine}/{PidFile}",
            "--config-net", "--ns-ifname", Card,
            // Told, as it would learn the card's address from packets that come out only, and drop those that go in until then.
            "--ns-mac-addr", GuestLease.MacOf(Inner),
            "--mtu", mtu.ToString(CultureInfo.InvariantCulture),
            "--address", Inner.ToString(), "--netmask", PrefixLength, "--gateway", Outer.ToString(),
            "--no-dhcp", "--no-ndp", "--no-ra", "--no-dhcpv6",
            // The outer address would lead to this computer's loopback address, which is let be for names only, and the rules let nothing else there.
            .. asksThisComputer ? (string[])["--dns-forward", Outer.ToString()] : ["--no-map-gw"],
            // Nothing of the computer's own ports into the namespace; the other way what is published, each at its address, by the same number:
            // passt of Debian 12 sends no answers from a port of UDP that it gives another one.
            "--tcp-ns", "none", "--udp-ns", "none",
            .. Ports("--tcp-ports", ports.Where(port => port.Name == "tcp")),
            .. Ports("--udp-ports", ports.Where(port => port.Name == "udp")),
            process.ToString(CultureInfo.InvariantCulture),
        ]);

    private static IEnumerable<string> Ports(string option, IEnumerable<PortMapping> ports)
    {
        var all = ports.Select(port => string.Create(CultureInfo.InvariantCulture, $"{(port.HostAddress is { } address ? address + "/" : "")}{port.HostPort}"));
        return all.DefaultIfEmpty("none").SelectMany(value => (string[])[option, value]);
    }
}
