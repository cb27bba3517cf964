namespace NanoVms.Network;

/// <summary>The bridge that guests are on.</summary>
public sealed record NetworkOptions
{
    /// <summary>1 to 15 of <c>a-z 0-9 -</c>. Two hosts on one computer need two names.</summary>
    public string BridgeName { get; init; } = "byteport0";

    /// <summary>
    /// IPv4 network of the guests, /16 to /28; its first address is the bridge's. When it overlaps a route of this computer
    /// and this host has not used it before, another of the same size in 10.0.0.0/8 is taken.
    /// </summary>
    public string Prefix { get; init; } = "10.77.0.0/16";

    /// <summary>
    /// IPv4 network of which each private network gets a /24, /16 to /24 itself; it must not overlap <see cref="Prefix"/>. Another is taken as for that.
    /// </summary>
    public string PrivatePrefix { get; init; } = "10.78.0.0/16";

    /// <summary>Of machines whose specification has none. Null for no limit.</summary>
    public RateLimits? Rate { get; init; } = new(1_000_000_000, 1_000_000_000);

    /// <summary>Name servers asked for guests; null for those of /etc/resolv.conf.</summary>
    public IReadOnlyList<string>? Upstreams { get; init; }
}
