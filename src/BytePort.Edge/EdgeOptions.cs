using System.Net;

namespace BytePort.Edge;

/// <summary>Limits and time-outs of the edge.</summary>
public sealed class EdgeOptions
{
    /// <summary>Bytes of file content kept in memory, over all sites. Default 32 MiB.</summary>
    public long CacheBytes { get; set; } = 32 << 20;

    /// <summary>Larger files are streamed from disk instead of kept in memory. Bytes, default 256 KiB.</summary>
    public int CacheFileBytes { get; set; } = 256 << 10;

    /// <summary>Ranges served of one request; a request for more gets the whole file. Default 16.</summary>
    public int MaxRanges { get; set; } = 16;

    /// <summary>Largest request body that is passed on to a service; null for no limit. Bytes, default 100 MiB.</summary>
    public long? MaxRequestBodyBytes { get; set; } = 100L << 20;

    /// <summary>How long a connection to an upstream may take to open. Default 5 s.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a proxied request may go without a byte in either direction. Default 100 s; WebSockets and event streams too.</summary>
    public TimeSpan ActivityTimeout { get; set; } = TimeSpan.FromSeconds(100);

    /// <summary>Peers whose X-Forwarded-* headers are believed and extended; those of everyone else are removed. Default none.</summary>
    public IList<IPNetwork> TrustedProxies { get; } = [];
}
