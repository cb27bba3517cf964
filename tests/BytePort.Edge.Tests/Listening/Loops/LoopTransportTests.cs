using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using BytePort.Edge.Listening;
using BytePort.Edge.Listening.Loops;
using BytePort.Edge.Routing;
using BytePort.Edge.StaticFiles;
using Microsoft.AspNetCore.Http;

namespace BytePort.Edge.Tests.Listening.Loops;

public class LoopTransportTests
{
    private const string Host = "site.example";
    private const string Listening = "0A";
    private const string NoInode = "0";

    private static CancellationToken Canceled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(200_000, 40)]
    [InlineData(3_000_000, 3)]
    public async Task Get_SlowReader_GetsEveryByte(int length, int times)
    {
        await using var edge = await StartAsync();
        var content = RandomNumberGenerator.GetBytes(length);
        edge.Route(Host, new StaticTarget(new StaticSite([edge.File("data.bin", content)])));
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 8192 };
        await socket.ConnectAsync(IPAddress.Loopback, edge.Address.Port, Canceled);
        var requests = string.Concat(Enumerable.Repeat($"GET /data.bin HTTP/1.1\r\nHost: {Host}\r\n\r\n", times - 1));
        await socket.SendAsync(Encoding.ASCII.GetBytes(requests + $"GET /data.bin HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n"), Canceled);
        await Task.Delay(200, Canceled);
        var received = new MemoryStream();
        var buffer = new byte[100_000];
        while (await socket.ReceiveAsync(buffer, Canceled) is var count and > 0)
            received.Write(buffer, 0, count);
        var rest = received.GetBuffer().AsSpan(0, (int)received.Length);
        for (var i = 0; i < times; i++)
        {
            Assert.StartsWith("HTTP/1.1 200 OK\r\n", Encoding.ASCII.GetString(rest[..100]), StringComparison.Ordinal);
            rest = rest[(rest.IndexOf("\r\n\r\n"u8) + 4)..];
            Assert.True(rest[..length].SequenceEqual(content), $"answer {i} is damaged");
            rest = rest[length..];
        }

        Assert.True(rest.IsEmpty);
    }

    [Fact]
    public async Task Get_ByteByByte_IsOneRequest()
    {
        await using var edge = await StartAsync();
        using var socket = await edge.ConnectAsync();
        foreach (var one in Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {Host}\r\n\r\n"))
            await socket.SendAsync(new[] { one }, Canceled);
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", await ReceiveAsync(socket), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Accept_ManyConnectionsThatComeAndGo_NoneIsKept()
    {
        await using var edge = await StartAsync();
        for (var round = 0; round < 5; round++)
        {
            var sockets = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => edge.ConnectAsync()));
            await Task.WhenAll(sockets.Select(async (socket, index) =>
            {
                using (socket)
                {
                    await socket.SendAsync(Encoding.ASCII.GetBytes($"GET /large.bin HTTP/1.1\r\nHost: {Host}\r\n\r\n"), Canceled);
                    if (index % 4 == 0)
                        socket.LingerState = new LingerOption(true, 0);
                    else if (index % 4 == 1)
                        socket.Shutdown(SocketShutdown.Send);
                    else
                        Assert.StartsWith("HTTP/1.1 200 OK\r\n", await ReceiveAsync(socket), StringComparison.Ordinal);
                }
            }));
        }

        for (var i = 0; i < 200 && OpenConnections(edge.Address.Port) > 0; i++)
            await Task.Delay(100, Canceled);
        Assert.Equal(0, OpenConnections(edge.Address.Port));
        using var after = await edge.GetAsync(Host, "/");
        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
    }

    [Fact]
    public async Task Request_ForTheApplicationBehind_NeverRunsOnTheLoop()
    {
        static async Task Answer(HttpContext context)
        {
            var threads = new List<bool> { Thread.CurrentThread.IsThreadPoolThread };
            var buffer = new byte[1];
            while (await context.Request.Body.ReadAsync(buffer) > 0)
                threads.Add(Thread.CurrentThread.IsThreadPoolThread);
            var answer = Encoding.ASCII.GetBytes($"{threads.Count} {threads.All(pool => pool)}");
            context.Response.ContentLength = answer.Length;
            await context.Response.Body.WriteAsync(answer);
        }

        await using var edge = await StartAsync(fallback: Answer);
        using var socket = await edge.ConnectAsync();
        for (var round = 0; round < 3; round++)
        {
            await socket.SendAsync("POST / HTTP/1.1\r\nHost: other\r\nContent-Length: 5\r\n\r\n"u8.ToArray(), Canceled);
            foreach (var one in "abcde"u8.ToArray())
            {
                await Task.Delay(20, Canceled);
                await socket.SendAsync(new[] { one }, Canceled);
            }

            Assert.Contains("6 True", await ReceiveAsync(socket), StringComparison.Ordinal);
            await socket.SendAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {Host}\r\n\r\n"), Canceled);
            Assert.EndsWith("home", await ReceiveAsync(socket), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Get_WithoutEventLoops_TheSame()
    {
        await using var edge = await StartAsync(new EdgeListenerOptions { EventLoops = false });
        using var response = await edge.GetAsync(Host, "/");
        Assert.Equal("home", await response.Content.ReadAsStringAsync(Canceled));
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Get_OverTls_Works(string version)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        await using var edge = await StartAsync(certificate: certificate);
        for (var i = 0; i < 3; i++)
        {
            foreach (var (path, length) in new[] { ("/", 4), ("/medium.bin", 100_000), ("/large.bin", 1_000_000) })
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(edge.Address, path)) { Headers = { Host = Host }, Version = Version.Parse(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
                using var response = await edge.Client.SendAsync(request, Canceled);
                var body = await response.Content.ReadAsByteArrayAsync(Canceled);
                Assert.Equal(length, body.Length);
                Assert.True(path == "/" || body.All(value => value == 0), "the content is damaged");
            }
        }
    }

    [Fact]
    public async Task Signal_RaisedFromAnotherThread_WakesEveryWait()
    {
        var signal = new Signal();
        var waited = 0;
        var waiter = Task.Run(
            async () =>
            {
                while (waited < 100_000)
                {
                    await signal.WaitAsync();
                    Volatile.Write(ref waited, waited + 1);
                }
            },
            Canceled);
        while (!waiter.IsCompleted)
        {
            var before = Volatile.Read(ref waited);
            signal.Raise();
            SpinWait.SpinUntil(() => Volatile.Read(ref waited) > before, TimeSpan.FromSeconds(10));
            Assert.True(Volatile.Read(ref waited) > before, $"the signal after wait {before} was lost");
        }

        await waiter;
    }

    private static async Task<EdgeUnderTest> StartAsync(EdgeListenerOptions? listener = null, RequestDelegate? fallback = null, X509Certificate2? certificate = null)
    {
        var edge = await EdgeUnderTest.StartAsync(listener: listener, fallback: fallback, certificate: certificate);
        edge.Route(Host, new StaticTarget(new StaticSite([edge.File("index.html", "home"), edge.File("medium.bin", new byte[100_000]), edge.File("large.bin", new byte[1_000_000])])));
        return edge;
    }

    /// <summary>Connections of a local port that a process still holds: proc(5), tcp. Other tests hold files too, so those are not counted.</summary>
    private static int OpenConnections(int port) => new[] { "/proc/net/tcp", "/proc/net/tcp6" }
        .SelectMany(File.ReadLines)
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Count(fields => fields[1].EndsWith($":{port:X4}", StringComparison.Ordinal) && fields[3] is not Listening && fields[9] != NoInode);

    private static async Task<string> ReceiveAsync(Socket socket)
    {
        var buffer = new byte[65536];
        var count = await socket.ReceiveAsync(buffer, Canceled).AsTask().WaitAsync(TimeSpan.FromSeconds(20), Canceled);
        return Encoding.Latin1.GetString(buffer, 0, count);
    }
}
