using BytePort.Edge.Routing;

namespace BytePort.Edge.Tests.Routing;

public class SiteRoutesTests
{
    [Theory]
    [InlineData("/", "/")]
    [InlineData("/api", "/api")]
    [InlineData("/api/", "/api")]
    [InlineData("/api/x", "/api")]
    [InlineData("/apis", "/")]
    [InlineData("/API", "/")]
    [InlineData("/api/v2", "/api/v2")]
    [InlineData("/api/v2/x", "/api/v2")]
    [InlineData("/api/v20", "/api")]
    public void Match_Path_TakesLongestPrefixOnSegmentBoundaries(string path, string expected)
    {
        var routes = new SiteRoutes([new("/", Named("/")), new("/api/", Named("/api")), new("/api/v2", Named("/api/v2"))]);
        Assert.Equal(expected, ((UnavailableTarget)routes.Match(path)!.Target).Reason);
    }

    [Fact]
    public void Match_NoPrefixFits_Null() => Assert.Null(new SiteRoutes([new("/api", Named("api"))]).Match("/"));

    [Fact]
    public void Constructor_BadPrefix_Throws()
    {
        Assert.Throws<ArgumentException>(() => new SiteRoutes([new("api", Named("x"))]));
        Assert.Throws<ArgumentException>(() => new SiteRoutes([new("/api", Named("x")), new("/api/", Named("y"))]));
    }

    private static UnavailableTarget Named(string name) => new(503, name);
}
