using BytePort.Edge.Proxying;
using BytePort.Edge.StaticFiles;

namespace BytePort.Edge.Routing;

/// <summary>What answers the requests of a route.</summary>
public abstract record RouteTarget
{
    private protected RouteTarget()
    {
    }
}

/// <summary>An immutable tree of files.</summary>
public sealed record StaticTarget(StaticSite Site) : RouteTarget;

/// <summary>Running copies of one service. The one with the fewest requests under way gets the next.</summary>
/// <param name="ServiceName">
/// Names the service for people (in logs) and for <see cref="EdgeHost.GetLastActivity"/>; unique on this host,
/// for example <c>shop/api</c>.
/// </param>
/// <param name="Upstreams">When empty, requests are answered with 503.</param>
public sealed record ProxyTarget(string ServiceName, IReadOnlyList<Upstream> Upstreams) : RouteTarget;

/// <summary>Nothing can answer now; visitors are told so.</summary>
/// <param name="Status">HTTP status, 400-599.</param>
/// <param name="Reason">One plain sentence shown to every visitor, so it names nothing internal.</param>
public sealed record UnavailableTarget(int Status, string Reason) : RouteTarget;
