using System.Collections.Frozen;
using BytePort.Edge.Proxying;
using BytePort.Edge.Routing;

namespace BytePort.Edge;

/// <summary>A route table with the live state that its targets use.</summary>
internal sealed class EdgeSnapshot
{
    private readonly FrozenDictionary<ProxyTarget, UpstreamPool> _pools;

    public EdgeSnapshot(RouteTable table, EdgeHost edge)
    {
        Table = table;
        var pools = new Dictionary<ProxyTarget, UpstreamPool>();
        var ids = new HashSet<string>(StringComparer.Ordinal);
        foreach (var target in table.Sites.Values.SelectMany(site => site.Routes).Select(route => route.Target).OfType<ProxyTarget>())
        {
            if (!pools.ContainsKey(target))
                pools.Add(target, new UpstreamPool(target, edge));
            ids.UnionWith(target.Upstreams.Select(upstream => upstream.Id));
        }

        _pools = pools.ToFrozenDictionary();
        UpstreamIds = ids;
        ServiceNames = pools.Keys.Select(target => target.ServiceName).ToHashSet(StringComparer.Ordinal);
    }

    public RouteTable Table { get; }

    public IReadOnlySet<string> UpstreamIds { get; }

    public IReadOnlySet<string> ServiceNames { get; }

    public UpstreamPool Pool(ProxyTarget target) => _pools[target];
}
