using NanoVms.Network;

namespace NanoVms.Tests.Network;

public sealed class HostRoutesTests
{
    [Fact]
    public void Parse_Routes_LeavesOutDefaultAndOwnBridge()
    {
        const string Json = """
            [{"dst":"default","gateway":"192.0.2.1","dev":"eth0"},{"dst":"192.0.2.0/24","dev":"eth0"},
             {"dst":"10.77.0.0/16","dev":"byteport0"},{"type":"local","dst":"192.0.2.2","dev":"eth0"}]
            """;
        Assert.Equal(["192.0.2.0/24", "192.0.2.2/32"], HostRoutes.Parse(Json, "byteport0").Select(p => p.ToString()));
    }

    [Theory]
    [InlineData("10.77.0.0/16", "192.0.2.0/24", "10.77.0.0/16")]
    [InlineData("10.77.0.0/16", "10.77.5.0/24", "10.78.0.0/16")]
    [InlineData("10.255.0.0/16", "10.255.7.53/32", "10.0.0.0/16")]
    [InlineData("172.20.0.0/20", "172.16.0.0/12", "10.0.16.0/20")]
    public void ChooseFree_Taken_IsTheNext(string wanted, string taken, string expected) =>
        Assert.Equal(expected, HostRoutes.ChooseFree(Ipv4Prefix.Parse(wanted), [Ipv4Prefix.Parse(taken)]).ToString());

    [Fact]
    public void ChooseFree_NothingFree_SaysSo() => Assert.Contains(
        "No free /16",
        Assert.Throws<NetworkException>(() => HostRoutes.ChooseFree(Ipv4Prefix.Parse("10.0.0.0/16"), [Ipv4Prefix.Parse("10.0.0.0/8")])).Message,
        StringComparison.Ordinal);

    [Fact]
    public void NameServers_ResolvConf_AreTheAddresses() => Assert.Equal(
        ["192.0.2.53", "fd00::53"],
        HostRoutes.NameServers("# nameserver 9.9.9.9\nsearch example\nnameserver 192.0.2.53\nnameserver\tfd00::53\nnameserver x\n").Select(a => a.ToString()));

    [Fact]
    public void EgressMtu_TwoDefaultRoutes_IsThatOfTheLowerMetric()
    {
        const string Table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n"
            + "wlan0\t00000000\t010200C0\t0003\t0\t0\t600\t00000000\t0\neth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\n"
            + "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n";
        Assert.Equal(1400, HostRoutes.EgressMtu(Table, device => device == "eth0" ? 1400 : 1500));
        Assert.Equal(1500, HostRoutes.EgressMtu("", _ => 9000));
    }
}
