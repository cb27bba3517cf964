using System.Net;
using BytePort.Server.Accounts;
using BytePort.Server.Database;
using BytePort.Server.Hosting;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Grpc;

/// <summary>Serves gRPC at an address of its own, in clear text.</summary>
/// <remarks>
/// Without TLS nothing in a connection's first bytes tells Kestrel HTTP/2 from HTTP/1.1, so the port is not shared. It is a Kestrel of
/// its own because the platform's one has the edge in front: its transport and its limits are made for browsers, and apps have no
/// business on this port.
/// </remarks>
internal sealed class GrpcServer(
    string address,
    IEnumerable<GrpcService> services,
    IDbContextFactory<PlatformDb> databases,
    TimeProvider time,
    ILoggerFactory loggers) : IHostedService
{
    private const int MaxHeadersBytes = 16 << 10;
    private const int MaxConnections = 1000;

    private WebApplication? _app;

    /// <summary>Reads <c>HOST:PORT</c>; no address stands for <c>localhost</c>, which is both loopback addresses.</summary>
    public static bool TryParse(string address, out (IPAddress? Address, int Port) parsed)
    {
        parsed = default;
        var colon = address.LastIndexOf(':');
        if (colon < 1 || !ushort.TryParse(address.AsSpan(colon + 1), out var port) || port == 0)
            return false;
        if (address[..colon] == "localhost")
        {
            parsed = (null, port);
            return true;
        }

        var isAddress = IPAddress.TryParse(address[..colon].Trim('[', ']'), out var ip);
        parsed = (ip, port);
        return isAddress;
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddSingleton(loggers).AddSingleton(databases).AddSingleton(time).AddSingleton<GrpcPipeline>();
        builder.Services.AddAuthenticationCore(authentication => authentication.DefaultScheme = TokenAuthentication.SchemeName).AddWebEncoders();
        new AuthenticationBuilder(builder.Services).AddScheme<AuthenticationSchemeOptions, TokenAuthentication>(TokenAuthentication.SchemeName, null);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(Configure);
        var app = builder.Build();
        var pipeline = app.Services.GetRequiredService<GrpcPipeline>();
        var methods = services
            .SelectMany(service => service.Methods.Select(method => (Path: $"/{service.Name}/{method.Name}", method)))
            .ToDictionary(pair => pair.Path, pair => pair.method, StringComparer.Ordinal);
        app.Run(context => pipeline.AnswerAsync(context, methods.GetValueOrDefault(context.Request.Path.Value ?? "")));
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (IOException e)
        {
            await app.DisposeAsync();
            throw new StartException($"--grpc-listen {address}: {e.Message}");
        }

        _app = app;
        Log.Listening(loggers.CreateLogger<GrpcServer>(), address);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_app is not { } app)
            return;
        _app = null;
        await app.StopAsync(cancellationToken);
        await app.DisposeAsync();
    }

    private void Configure(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        var limits = kestrel.Limits;
        limits.MaxConcurrentConnections = MaxConnections;
        limits.MaxRequestHeadersTotalSize = MaxHeadersBytes;
        // The limit is one on messages.
        limits.MaxRequestBodySize = null;
        limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
        limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(20);
        _ = TryParse(address, out var parsed);
        if (parsed.Address is null)
            kestrel.ListenLocalhost(parsed.Port, Http2Only);
        else
            kestrel.Listen(parsed.Address, parsed.Port, Http2Only);
    }

    private static void Http2Only(ListenOptions listen) => listen.Protocols = HttpProtocols.Http2;
}
