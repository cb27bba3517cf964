using BytePort.Edge.Routing;

namespace BytePort.Edge.Tests.Routing;

public class RouteTableTests
{
    private static readonly SiteRoutes Routes = new(new UnavailableTarget(503, "Asleep."));

    [Theory]
    [InlineData("shop.example.com", true)]
    [InlineData("SHOP.Example.COM", true)]
    [InlineData("shop.example.com:8080", true)]
    [InlineData("shop.example.com.", true)]
    [InlineData("shop.example.com.:80", true)]
    [InlineData("shop.example.com..", false)]
    [InlineData("xshop.example.com", false)]
    [InlineData("example.com", false)]
    [InlineData("", false)]
    [InlineData(":80", false)]
    [InlineData("[::1]:80", false)]
    public void Find_Host_MatchesExactly(string host, bool found) =>
        Assert.Equal(found, new RouteTable([new("Shop.example.com", Routes)]).Find(host) is not null);

    [Fact]
    public void Find_AddressLiteral_IgnoresItsPort() =>
        Assert.NotNull(new RouteTable([new("[::1]", Routes)]).Find("[::1]:8080"));

    [Theory]
    [InlineData("")]
    [InlineData("shop.example.com:80")]
    public void Constructor_NotAHostName_Throws(string host) =>
        Assert.Throws<ArgumentException>(() => new RouteTable([new(host, Routes)]));

    [Fact]
    public void Constructor_SameHostTwice_Throws() =>
        Assert.Throws<ArgumentException>(() => new RouteTable([new("a.example", Routes), new("A.example.", Routes)]));
}
