using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using BytePort.Edge.Listening;
using BytePort.Edge.Routing;
using BytePort.Edge.StaticFiles;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace BytePort.Edge.Tests;

/// <summary>The edge in a real Kestrel on a free loopback port.</summary>
public sealed class EdgeUnderTest : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly TestFolder _folder = new();

    private EdgeUnderTest(WebApplication app, X509Certificate2? certificate)
    {
        _app = app;
        Edge = app.Services.GetRequiredService<EdgeHost>();
        Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        Client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            SslOptions = { RemoteCertificateValidationCallback = (_, presented, _, _) => certificate?.Equals(presented) == true },
        });
    }

    public EdgeHost Edge { get; }

    public Uri Address { get; }

    public HttpClient Client { get; }

    public static async Task<EdgeUnderTest> StartAsync(
        Action<EdgeOptions>? configure = null, EdgeListenerOptions? listener = null, RequestDelegate? fallback = null, X509Certificate2? certificate = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseBytePortEdgeListener(listener);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            if (certificate is not null)
                listen.UseHttps(certificate);
        }));
        builder.Services.AddBytePortEdge(configure);
        var app = builder.Build();
        app.UseBytePortEdge();
        app.Run(fallback ?? (context => context.Response.WriteAsync("not the edge")));
        await app.StartAsync();
        return new EdgeUnderTest(app, certificate);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync(TestContext.Current.CancellationToken);
        await _app.DisposeAsync();
        _folder.Dispose();
    }

    public void Route(string host, RouteTarget target) => Edge.Update(new RouteTable([new(host, new SiteRoutes(target))]));

    public StaticFile File(string path, string content, bool immutable = false, bool compress = false) =>
        File(path, Encoding.UTF8.GetBytes(content), immutable, compress);

    public StaticFile File(string path, byte[] content, bool immutable = false, bool compress = false)
    {
        var encodings = new List<StaticEncoding>();
        if (compress)
        {
            encodings.Add(Encode("br", content, output => new BrotliStream(output, CompressionLevel.Fastest)));
            encodings.Add(Encode("gzip", content, output => new GZipStream(output, CompressionLevel.Fastest)));
        }

        var type = path.EndsWith(".html", StringComparison.Ordinal) ? "text/html; charset=utf-8" : "text/plain; charset=utf-8";
        return new StaticFile(path, Store(content), content.Length, Digest(content), type, immutable, encodings);
    }

    public Task<HttpResponseMessage> GetAsync(string host, string path, params (string Name, string Value)[] headers) =>
        SendAsync(HttpMethod.Get, host, path, headers);

    public Task<HttpResponseMessage> SendAsync(HttpMethod method, string host, string path, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(method, new Uri(Address, path)) { Headers = { Host = host } };
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        return Client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    /// <summary>Sends bytes as they are and returns everything up to the connection's end.</summary>
    public async Task<string> SendRawAsync(string request)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        using var socket = await ConnectAsync();
        await socket.SendAsync(Encoding.Latin1.GetBytes(request), cancellationToken);
        var all = new MemoryStream();
        var buffer = new byte[65536];
        try
        {
            while (await socket.ReceiveAsync(buffer, cancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(20), cancellationToken) is var count and > 0)
                all.Write(buffer, 0, count);
        }
        catch (SocketException)
        {
            // The server may reset the connection of a client that breaks the rules.
        }

        return Encoding.Latin1.GetString(all.ToArray());
    }

    public async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, Address.Port, TestContext.Current.CancellationToken);
        return socket;
    }

    private static string Digest(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));

    private string Store(byte[] content) => _folder.Write(Digest(content), content);

    private StaticEncoding Encode(string name, byte[] content, Func<Stream, Stream> wrap)
    {
        var output = new MemoryStream();
        using (var encoder = wrap(output))
            encoder.Write(content);
        var encoded = output.ToArray();
        return new StaticEncoding(name, Store(encoded), encoded.Length, Digest(encoded));
    }
}
