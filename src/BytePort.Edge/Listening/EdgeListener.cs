using BytePort.Edge.Listening.Loops;
using BytePort.Edge.Routing;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace BytePort.Edge.Listening;

/// <summary>Sets Kestrel up as the edge wants it: limits for strangers, nothing said about the server, sockets tuned.</summary>
public static class EdgeListener
{
    /// <summary>
    /// Call it on the host's builder, which already uses Kestrel, and with <see cref="EdgeExtensions.AddBytePortEdge"/>;
    /// endpoints stay the caller's business. Requests for the edge's hosts are answered before the host's pipeline.
    /// </summary>
    public static IWebHostBuilder UseBytePortEdgeListener(this IWebHostBuilder builder, EdgeListenerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        options ??= new EdgeListenerOptions();
        return builder
            .ConfigureKestrel(kestrel => Configure(kestrel, options))
            .ConfigureServices(services =>
            {
                if (options.EventLoops)
                    services.AddSingleton<IConnectionListenerFactory, LoopTransport>();
                var kestrel = services.LastOrDefault(service => service.ServiceType == typeof(IServer));
                if (kestrel?.ImplementationType is not { } type)
                    throw new InvalidOperationException("The edge's listener stands in front of Kestrel, which this host does not use yet. Call UseKestrel before it.");
                services.Remove(kestrel);
                services.AddSingleton<IServer>(provider => new EdgeServer(
                    (IServer)ActivatorUtilities.CreateInstance(provider, type), provider.GetRequiredService<EdgeRouter>()));
            });
    }

    private static void Configure(KestrelServerOptions kestrel, EdgeListenerOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.AllowSynchronousIO = false;
        var limits = kestrel.Limits;
        limits.MaxRequestLineSize = options.MaxRequestLineBytes;
        limits.MaxRequestHeadersTotalSize = options.MaxHeadersBytes;
        limits.MaxRequestHeaderCount = options.MaxHeaders;
        limits.MaxConcurrentConnections = options.MaxConnections;
        limits.MaxConcurrentUpgradedConnections = options.MaxConnections;
        limits.RequestHeadersTimeout = options.HeadersTimeout;
        limits.KeepAliveTimeout = options.KeepAliveTimeout;
        limits.MinRequestBodyDataRate = options.MinBytesPerSecond is { } bytes ? new MinDataRate(bytes, options.MinRateGrace) : null;
        limits.MinResponseDataRate = limits.MinRequestBodyDataRate;
    }
}

/// <summary>Limits that keep slow, greedy or broken clients from holding the edge.</summary>
public sealed record EdgeListenerOptions
{
    /// <summary>
    /// TCP connections on Linux are served by one event loop per core instead of Kestrel's general transport: less processor
    /// time per request. Default true.
    /// </summary>
    public bool EventLoops { get; init; } = true;

    /// <summary>Method, target and version; longer is 414. Bytes, default 8 KiB.</summary>
    public int MaxRequestLineBytes { get; init; } = 8 << 10;

    /// <summary>All headers together; more is 431. Bytes, default 32 KiB.</summary>
    public int MaxHeadersBytes { get; init; } = 32 << 10;

    /// <summary>More is 431. Default 100.</summary>
    public int MaxHeaders { get; init; } = 100;

    /// <summary>Open connections; more are closed at once. Default 10,000.</summary>
    public long MaxConnections { get; init; } = 10_000;

    /// <summary>A request's headers have to be there in this time, else 408. Default 15 s.</summary>
    public TimeSpan HeadersTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>An idle connection is closed after it. Default 75 s.</summary>
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(75);

    /// <summary>
    /// A client that is sending a body, or not taking an answer, more slowly is cut off; null for no limit. A stream that
    /// has nothing to send is not slow. Default 240.
    /// </summary>
    public double? MinBytesPerSecond { get; init; } = 240;

    /// <summary>How long a client may be slower than that. Default 10 s.</summary>
    public TimeSpan MinRateGrace { get; init; } = TimeSpan.FromSeconds(10);
}
