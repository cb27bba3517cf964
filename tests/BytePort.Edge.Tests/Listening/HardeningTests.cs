using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using BytePort.Edge.Listening;
using BytePort.Edge.Routing;
using BytePort.Edge.StaticFiles;

namespace BytePort.Edge.Tests.Listening;

public class HardeningTests
{
    private const string Host = "site.example";

    [Theory]
    [InlineData("/../../etc/passwd", "404")]
    [InlineData("/%2e%2e/%2e%2e/etc/passwd", "404")]
    [InlineData("/..%2f..%2fetc%2fpasswd", "404")]
    [InlineData("/%5c..%5c..%5cetc", "404")]
    [InlineData("/x/../", "200")]
    [InlineData("/%00", "400")]
    [InlineData("/a%00.html", "400")]
    [InlineData("/%", "404")]
    [InlineData("/%zz", "404")]
    [InlineData("/%ff%fe", "404")]
    [InlineData("//evil.example/..", "404")]
    [InlineData("http://site.example/", "200")]
    public async Task Get_HostilePath_StaysInTheSite(string target, string status)
    {
        await using var edge = await StartAsync();
        var raw = await edge.SendRawAsync($"GET {target} HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n");
        Assert.StartsWith($"HTTP/1.1 {status} ", raw, StringComparison.Ordinal);
        Assert.DoesNotContain("root:", raw, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_TooMuch_IsRefused()
    {
        await using var edge = await StartAsync();
        Assert.StartsWith("HTTP/1.1 414 ", await edge.SendRawAsync($"GET /{new string('a', 9000)} HTTP/1.1\r\nHost: {Host}\r\n\r\n"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 431 ", await edge.SendRawAsync($"GET / HTTP/1.1\r\nHost: {Host}\r\nX: {new string('a', 40000)}\r\n\r\n"), StringComparison.Ordinal);
        var many = string.Concat(Enumerable.Range(0, 200).Select(i => $"X{i}: y\r\n"));
        Assert.StartsWith("HTTP/1.1 431 ", await edge.SendRawAsync($"GET / HTTP/1.1\r\nHost: {Host}\r\n{many}\r\n"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nHost: site.example\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: site.example\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: site.example\r\nContent-Length: 1, 1\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost : site.example\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: site.example\r\n folded: x\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: site.example\r\nTransfer-Encoding: gzip\r\n\r\n")]
    public async Task Get_AmbiguousFraming_400AndClosed(string request)
    {
        await using var edge = await StartAsync();
        var raw = await edge.SendRawAsync(request + "GET /secret HTTP/1.1\r\nHost: site.example\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 400 ", raw, StringComparison.Ordinal);
        Assert.Equal(1, raw.Split("HTTP/1.1 ").Length - 1);
    }

    [Fact]
    public async Task Post_BothFramings_AnsweredOnceAndClosed()
    {
        await using var edge = await StartAsync();
        var raw = await edge.SendRawAsync($"POST / HTTP/1.1\r\nHost: {Host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /secret HTTP/1.1\r\nHost: {Host}\r\n\r\n");
        Assert.Equal(1, raw.Split("HTTP/1.1 ").Length - 1);
    }

    [Fact]
    public async Task Get_HeadersNeverEnd_IsCutOff()
    {
        await using var edge = await StartAsync(new EdgeListenerOptions { HeadersTimeout = TimeSpan.FromSeconds(1) });
        var watch = Stopwatch.StartNew();
        var raw = await edge.SendRawAsync($"GET / HTTP/1.1\r\nHost: {Host}\r\nX-Slow: ");
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"took {watch.Elapsed}");
        Assert.True(raw.Length == 0 || raw.StartsWith("HTTP/1.1 408 ", StringComparison.Ordinal), raw);
    }

    [Fact]
    public async Task Get_ClientReadsNothing_IsCutOffAndOthersAreServed()
    {
        await using var edge = await StartAsync(new EdgeListenerOptions { MinBytesPerSecond = 10_000_000, MinRateGrace = TimeSpan.FromSeconds(2) });
        using var stuck = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        await stuck.ConnectAsync(IPAddress.Loopback, edge.Address.Port, TestContext.Current.CancellationToken);
        var requests = string.Concat(Enumerable.Repeat($"GET /large.bin HTTP/1.1\r\nHost: {Host}\r\n\r\n", 20));
        await stuck.SendAsync(Encoding.ASCII.GetBytes(requests), TestContext.Current.CancellationToken);
        var deadline = Stopwatch.StartNew();
        var cut = false;
        while (!cut && deadline.Elapsed < TimeSpan.FromSeconds(20))
        {
            using var other = await edge.GetAsync(Host, "/");
            Assert.Equal(HttpStatusCode.OK, other.StatusCode);
            await Task.Delay(200, TestContext.Current.CancellationToken);
            try
            {
                cut = stuck.Poll(0, SelectMode.SelectError) || await stuck.SendAsync("X"u8.ToArray(), TestContext.Current.CancellationToken) == 0;
            }
            catch (SocketException)
            {
                cut = true;
            }
        }

        Assert.True(cut, "the connection that reads nothing is still open");
    }

    [Fact]
    public async Task Get_UnknownHost_FallsThrough()
    {
        await using var edge = await StartAsync();
        using var response = await edge.GetAsync("other.example", "/");
        Assert.Equal("not the edge", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private static async Task<EdgeUnderTest> StartAsync(EdgeListenerOptions? listener = null)
    {
        var edge = await EdgeUnderTest.StartAsync(listener: listener);
        edge.Route(Host, new StaticTarget(new StaticSite([edge.File("index.html", "home"), edge.File("large.bin", new byte[4 << 20])])));
        return edge;
    }
}
