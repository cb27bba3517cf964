using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using BytePort.Edge.Proxying;
using BytePort.Edge.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace BytePort.Edge.Tests.Proxying;

public class ProxyHandlerTests
{
    private const string Host = "app.example";

    private static CancellationToken Canceled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Get_Service_SeesTheRequestAsItCame()
    {
        await using var upstream = await UpstreamUnderTest.StartAsync(context => context.Response.WriteAsJsonAsync(new
        {
            context.Request.Method,
            Host = context.Request.Host.Value,
            Target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget,
            Headers = context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString()),
        }));
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, Target(upstream));
        var raw = await edge.SendRawAsync($"GET /a%2Fb/%20//c;x?q=%41&r=+ HTTP/1.1\r\nHost: {Host}:8080\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Mine: yes\r\nConnection: close\r\n\r\n");
        Assert.Contains("\"target\":\"/a%2Fb/%20//c;x?q=%41", raw, StringComparison.Ordinal);
        Assert.Contains($"\"host\":\"{Host}:8080\"", raw, StringComparison.Ordinal);
        Assert.Contains("\"X-Forwarded-For\":\"127.0.0.1\"", raw, StringComparison.Ordinal);
        Assert.Contains("\"X-Forwarded-Proto\":\"http\"", raw, StringComparison.Ordinal);
        Assert.Contains($"\"X-Forwarded-Host\":\"{Host}:8080\"", raw, StringComparison.Ordinal);
        Assert.Contains("\"X-Mine\":\"yes\"", raw, StringComparison.Ordinal);
        Assert.DoesNotContain("6.6.6.6", raw, StringComparison.Ordinal);
        Assert.DoesNotContain("evil", raw, StringComparison.Ordinal);
        Assert.DoesNotContain("traceparent", raw, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Get_HeadersForThisHop_StayHere()
    {
        await using var upstream = await UpstreamUnderTest.StartAsync(context => context.Response.WriteAsync(string.Join(' ', context.Request.Headers.Keys)));
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, Target(upstream));
        using var response = await edge.GetAsync(Host, "/", ("Connection", "X-Hop, Host"), ("X-Hop", "no"), ("TE", "trailers"), ("X-Mine", "yes"));
        var seen = (await response.Content.ReadAsStringAsync(Canceled)).Split(' ');
        Assert.DoesNotContain("X-Hop", seen);
        Assert.Contains("X-Mine", seen);
        Assert.Contains("Host", seen);
    }

    [Fact]
    public async Task Get_TrustedProxyInFront_ItsClaimsAreExtended()
    {
        await using var upstream = await UpstreamUnderTest.StartAsync(context =>
            context.Response.WriteAsync($"{context.Request.Headers["X-Forwarded-For"]} {context.Request.Headers["X-Forwarded-Proto"]} {context.Request.Headers["X-Forwarded-Host"]}"));
        await using var edge = await EdgeUnderTest.StartAsync(options => options.TrustedProxies.Add(System.Net.IPNetwork.Parse("127.0.0.0/8")));
        edge.Route(Host, Target(upstream));
        using var response = await edge.GetAsync(Host, "/", ("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "public.example"));
        Assert.Equal("1.2.3.4,127.0.0.1 https public.example", (await response.Content.ReadAsStringAsync(Canceled)).Replace(", ", ",", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Get_ServiceAnswer_PassesAsItIs()
    {
        await using var upstream = await UpstreamUnderTest.StartAsync(context =>
        {
            context.Response.StatusCode = 302;
            context.Response.Headers.Location = "/elsewhere";
            context.Response.Headers.ContentEncoding = "gzip";
            context.Response.Headers.Append("Set-Cookie", "a=1");
            context.Response.Headers.Append("Set-Cookie", "b=2");
            return context.Response.Body.WriteAsync(new byte[] { 1, 2, 3 }).AsTask();
        });
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, Target(upstream));
        for (var i = 0; i < 2; i++)
        {
            using var response = await edge.GetAsync(Host, "/");
            Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
            Assert.Equal(["a=1", "b=2"], response.Headers.GetValues("Set-Cookie"));
            Assert.Equal([1, 2, 3], await response.Content.ReadAsByteArrayAsync(Canceled));
        }
    }

    [Fact]
    public async Task Get_EventStream_ArrivesAsItIsSent()
    {
        var next = new SemaphoreSlim(0);
        await using var upstream = await UpstreamUnderTest.StartAsync(async context =>
        {
            context.Response.ContentType = "text/event-stream";
            for (var i = 0; i < 3; i++)
            {
                await context.Response.WriteAsync($"data: {i}\n\n");
                await context.Response.Body.FlushAsync();
                await next.WaitAsync(TimeSpan.FromSeconds(20));
            }
        });
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, Target(upstream));
        using var request = new HttpRequestMessage(HttpMethod.Get, edge.Address) { Headers = { Host = Host } };
        using var response = await edge.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Canceled);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Canceled));
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal($"data: {i}", await reader.ReadLineAsync(Canceled).AsTask().WaitAsync(TimeSpan.FromSeconds(10), Canceled));
            await reader.ReadLineAsync(Canceled);
            next.Release();
        }
    }

    [Fact]
    public async Task Get_VisitorLeaves_TheServiceIsTold()
    {
        var left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await UpstreamUnderTest.StartAsync(async context =>
        {
            context.RequestAborted.Register(left.SetResult);
            await context.Response.WriteAsync("data: 0\n\n");
            await context.Response.Body.FlushAsync();
            await left.Task;
        });
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, Target(upstream));
        using (var socket = await edge.ConnectAsync())
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {Host}\r\n\r\n"), Canceled);
            Assert.True(await socket.ReceiveAsync(new byte[1000], Canceled) > 0);
            Assert.Equal(1, edge.Edge.CountInFlight("u1"));
        }

        await left.Task.WaitAsync(TimeSpan.FromSeconds(10), Canceled);
        Assert.True(await edge.Edge.DrainAsync("u1", TimeSpan.FromSeconds(10), Canceled));
    }

    [Fact]
    public async Task Post_Body_Streams()
    {
        var firstByte = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await UpstreamUnderTest.StartAsync(async context =>
        {
            var buffer = new byte[65536];
            var total = 0L;
            while (await context.Request.Body.ReadAsync(buffer) is var count and > 0)
            {
                firstByte.TrySetResult();
                total += count;
            }

            await context.Response.WriteAsync($"{total}");
        });
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, Target(upstream));
        var content = new PushContent(async stream =>
        {
            await stream.WriteAsync(new byte[64 << 10]);
            await stream.FlushAsync();
            await firstByte.Task.WaitAsync(TimeSpan.FromSeconds(10));
            for (var i = 0; i < 40; i++)
                await stream.WriteAsync(new byte[1 << 20]);
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, edge.Address) { Headers = { Host = Host }, Content = content };
        using var response = await edge.Client.SendAsync(request, Canceled);
        Assert.Equal($"{(40 << 20) + (64 << 10)}", await response.Content.ReadAsStringAsync(Canceled));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Post_BodyTooLarge_413(bool withLength)
    {
        await using var upstream = await UpstreamUnderTest.StartAsync(async context => await context.Request.Body.CopyToAsync(Stream.Null));
        await using var edge = await EdgeUnderTest.StartAsync(options => options.MaxRequestBodyBytes = 1000);
        edge.Route(Host, Target(upstream));
        var body = new string('x', 2000);
        var raw = await edge.SendRawAsync(withLength
            ? $"POST / HTTP/1.1\r\nHost: {Host}\r\nContent-Length: 2000\r\n\r\n{body}"
            : $"POST / HTTP/1.1\r\nHost: {Host}\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n{body}\r\n0\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 413 ", raw, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connect_WebSocket_EchoesAndCountsInFlight()
    {
        await using var upstream = await UpstreamUnderTest.StartAsync(async context =>
        {
            using var socket = await context.WebSockets.AcceptWebSocketAsync();
            var buffer = new byte[1024];
            while (await socket.ReceiveAsync(buffer, CancellationToken.None) is { MessageType: not WebSocketMessageType.Close } message)
                await socket.SendAsync(buffer.AsMemory(0, message.Count), message.MessageType, message.EndOfMessage, CancellationToken.None);
            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
        });
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, Target(upstream));
        using var client = new ClientWebSocket();
        client.Options.SetRequestHeader("Host", Host);
        await client.ConnectAsync(new Uri($"ws://127.0.0.1:{edge.Address.Port}/"), Canceled);
        for (var i = 0; i < 10; i++)
        {
            await client.SendAsync(Encoding.UTF8.GetBytes($"hello {i}"), WebSocketMessageType.Text, true, Canceled);
            var buffer = new byte[100];
            var message = await client.ReceiveAsync(buffer, Canceled);
            Assert.Equal($"hello {i}", Encoding.UTF8.GetString(buffer, 0, message.Count));
        }

        Assert.Equal(1, edge.Edge.CountInFlight("u1"));
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, null, Canceled);
        Assert.True(await edge.Edge.DrainAsync("u1", TimeSpan.FromSeconds(10), Canceled));
    }

    [Fact]
    public async Task Get_OneUpstreamRefuses_AnotherAnswers()
    {
        await using var upstream = await UpstreamUnderTest.StartAsync(context => context.Response.WriteAsync("alive " + context.Request.ContentLength));
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, new ProxyTarget("app", [new("dead", Nobody()), new("u1", upstream.Address)]));
        for (var i = 0; i < 20; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, edge.Address) { Headers = { Host = Host }, Content = new StringContent("12345") };
            using var response = await edge.Client.SendAsync(request, Canceled);
            Assert.Equal("alive 5", await response.Content.ReadAsStringAsync(Canceled));
        }

        Assert.Equal(0, edge.Edge.CountInFlight("dead"));
    }

    [Fact]
    public async Task Post_UpstreamDiesAfterTheRequest_IsNotRepeated()
    {
        var requests = 0;
        async Task Count(HttpContext context)
        {
            Interlocked.Increment(ref requests);
            await context.Request.Body.CopyToAsync(Stream.Null);
            context.Abort();
        }

        await using var first = await UpstreamUnderTest.StartAsync(Count);
        await using var second = await UpstreamUnderTest.StartAsync(Count);
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, new ProxyTarget("app", [new("u1", first.Address), new("u2", second.Address)]));
        using var request = new HttpRequestMessage(HttpMethod.Post, edge.Address) { Headers = { Host = Host }, Content = new StringContent("pay") };
        using var response = await edge.Client.SendAsync(request, Canceled);
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal(1, requests);
    }

    [Fact]
    public async Task Get_NobodyListens_502WithoutInternals()
    {
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, new ProxyTarget("secret-service", [new("secret-id", Nobody())]));
        using var page = await edge.GetAsync(Host, "/", ("Accept", "text/html"));
        using var problem = await edge.GetAsync(Host, "/", ("Accept", "application/json"));
        Assert.Equal(HttpStatusCode.BadGateway, page.StatusCode);
        var text = await page.Content.ReadAsStringAsync(Canceled) + await problem.Content.ReadAsStringAsync(Canceled);
        Assert.Contains("\"code\":\"bad_gateway\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", text, StringComparison.Ordinal);
        Assert.DoesNotContain("127.0.0.1", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_NoUpstream_503WithRetryAfter()
    {
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, new ProxyTarget("app", []));
        using var response = await edge.GetAsync(Host, "/");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter);
    }

    [Fact]
    public async Task Get_Unavailable_SaysWhyEscaped()
    {
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, new UnavailableTarget(503, "Asleep <b>now</b>."));
        using var response = await edge.GetAsync(Host, "/");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Contains("Asleep &lt;b&gt;now", await response.Content.ReadAsStringAsync(Canceled), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_ServiceNeverAnswers_504()
    {
        await using var upstream = await UpstreamUnderTest.StartAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        await using var edge = await EdgeUnderTest.StartAsync(options => options.ActivityTimeout = TimeSpan.FromSeconds(1));
        edge.Route(Host, Target(upstream));
        using var response = await edge.GetAsync(Host, "/");
        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
    }

    [Fact]
    public async Task Get_ConnectionNotTaken_502InTime()
    {
        // A listener whose queue is full drops SYNs: the connection neither opens nor is refused.
        using var full = new Socket(SocketType.Stream, ProtocolType.Tcp);
        full.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        full.Listen(0);
        var fillers = Enumerable.Range(0, 4).Select(_ => new Socket(SocketType.Stream, ProtocolType.Tcp) { Blocking = false }).ToArray();
        foreach (var filler in fillers)
        {
            try
            {
                await filler.ConnectAsync(full.LocalEndPoint!, Canceled).AsTask().WaitAsync(TimeSpan.FromMilliseconds(200), Canceled);
            }
            catch (TimeoutException)
            {
                // The queue is full now.
            }
        }

        await using var edge = await EdgeUnderTest.StartAsync(options => options.ConnectTimeout = TimeSpan.FromMilliseconds(500));
        edge.Route(Host, new ProxyTarget("app", [new("u1", new Uri($"http://{full.LocalEndPoint}"))]));
        using var response = await edge.GetAsync(Host, "/").WaitAsync(TimeSpan.FromSeconds(10), Canceled);
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        foreach (var filler in fillers)
            filler.Dispose();
    }

    [Fact]
    public async Task Get_SeveralUpstreams_TheLeastBusyAnswers()
    {
        var hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        async Task Answer(HttpContext context, string name)
        {
            if (context.Request.Path == "/hold")
                await hold.Task;
            await context.Response.WriteAsync(name);
        }

        await using var one = await UpstreamUnderTest.StartAsync(context => Answer(context, "one"));
        await using var two = await UpstreamUnderTest.StartAsync(context => Answer(context, "two"));
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, new ProxyTarget("app", [new("u1", one.Address), new("u2", two.Address)]));
        var held = edge.GetAsync(Host, "/hold");
        while (edge.Edge.CountServiceInFlight("app") == 0)
            await Task.Delay(10, Canceled);
        var other = new HashSet<string>();
        for (var i = 0; i < 10; i++)
        {
            using var response = await edge.GetAsync(Host, "/");
            other.Add(await response.Content.ReadAsStringAsync(Canceled));
        }

        hold.SetResult();
        using var last = await held;
        Assert.DoesNotContain(await last.Content.ReadAsStringAsync(Canceled), other);
        Assert.Single(other);
        Assert.NotNull(edge.Edge.GetLastActivity("app"));
    }

    internal static Uri Nobody()
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return new Uri($"http://{socket.LocalEndPoint}");
    }

    private static ProxyTarget Target(UpstreamUnderTest upstream) => new("app", [new Upstream("u1", upstream.Address)]);

    private sealed class PushContent(Func<Stream, Task> write) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => write(stream);

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
