using System.Net;
using System.Net.Sockets;
using NanoVms.Machines;
using NanoVms.Network;

namespace NanoVms.Tests.Network;

/// <summary>What is written for networks without root. That it works is seen in the tests of machines.</summary>
public sealed class UserNetworkTests
{
    private static readonly GuestLease Lease = GuestLease.Create("bp0123ab-", Ipv4Prefix.Parse("10.77.0.0/16"), 2);

    [Fact]
    public void Uplink_Ports_EachAtItsAddress()
    {
        PortMapping[] ports = [new(8080, 80), new(8443, 443, ProtocolType.Tcp, "127.0.0.1"), new(5353, 53, ProtocolType.Udp)];
        var command = Uplink.Build(42, "/m/machines/abc", ports, 1400, asksThisComputer: false);

        Assert.Equal("pasta", command.Program);
        var line = string.Join(' ', command.Arguments);
        Assert.Contains("--tcp-ports 8080 --tcp-ports 127.0.0.1/8443 --udp-ports 5353 42", line, StringComparison.Ordinal);
        Assert.Contains("--tcp-ns none --udp-ns none", line, StringComparison.Ordinal);
        Assert.Contains("--no-map-gw", command.Arguments);
        Assert.Contains(command.Arguments, argument => argument.StartsWith(UserNetwork.MarkOf("/m"), StringComparison.Ordinal));
        Assert.Equal("42", command.Arguments[^1]);
    }

    [Fact]
    public void Uplink_WithoutPorts_ForwardsNone() =>
        Assert.Contains("--tcp-ports none --udp-ports none 1", string.Join(' ', Uplink.Build(1, "/m", [], 1500, asksThisComputer: true).Arguments), StringComparison.Ordinal);

    /// <summary>What the bridge forbids is forbidden here as well, and this computer's own addresses.</summary>
    [Fact]
    public void Rules_HaveWhatNoGuestMayReach()
    {
        var rules = new UserFirewall(Lease, IPAddress.Parse("10.77.0.1"), [IPAddress.Parse("203.0.113.9")], new IPEndPoint(IPAddress.Parse("192.0.2.53"), 53), [new PortMapping(8080, 80)]).Install();
        foreach (var network in Firewall.Forbidden.Append("203.0.113.9"))
            Assert.Contains(network, rules, StringComparison.Ordinal);
        Assert.Contains("dnat ip to 192.0.2.53:53", rules, StringComparison.Ordinal);
        Assert.Contains("tcp dport 8080 dnat ip to 10.77.0.2:80", rules, StringComparison.Ordinal);
        Assert.Equal("flush set inet nanovms own\n", UserFirewall.Replace([]));
    }

    [Fact]
    public void HostId_FollowsFromTheFolder() => Assert.NotEqual(UserNetwork.IdOf("/home/a/machines"), UserNetwork.IdOf("/home/b/machines"));

    [Theory]
    [InlineData("000001ffffffffff", HostMode.Root)]
    [InlineData("0000000000000000", HostMode.User)]
    // Root of a container without the right to networks.
    [InlineData("00000000a80425fb", HostMode.User)]
    public void HostMode_IsByRights(string rights, HostMode mode) => Assert.Equal(mode, HostModes.Of($"Name:\tx\nCapEff:\t{rights}\n"));
}
