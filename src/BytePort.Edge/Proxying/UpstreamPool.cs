using BytePort.Edge.Routing;

namespace BytePort.Edge.Proxying;

/// <summary>The upstreams of one service in one route table, with their counts.</summary>
internal sealed class UpstreamPool
{
    private readonly Member[] _members;
    private uint _turn;

    public UpstreamPool(ProxyTarget target, EdgeHost edge)
    {
        ServiceName = target.ServiceName;
        Activity = edge.GetService(target.ServiceName);
        _members = [.. target.Upstreams.Select(upstream => new Member(upstream, edge.GetUpstream(upstream.Id)))];
    }

    public string ServiceName { get; }

    public ServiceActivity Activity { get; }

    public int Count => _members.Length;

    /// <summary>
    /// The member with the fewest requests under way that <paramref name="tried"/> does not name; equals take turns. Null
    /// when all were tried.
    /// </summary>
    public Member? Choose(List<string>? tried)
    {
        Member? best = null;
        var fewest = int.MaxValue;
        var start = _members.Length > 1 ? (int)(Interlocked.Increment(ref _turn) % (uint)_members.Length) : 0;
        for (var i = 0; i < _members.Length; i++)
        {
            var member = _members[(start + i) % _members.Length];
            if (member.State.InFlight >= fewest || tried?.Contains(member.Id) == true)
                continue;
            best = member;
            fewest = member.State.InFlight;
        }

        return best;
    }

    internal sealed class Member(Upstream upstream, UpstreamState state)
    {
        public string Id { get; } = upstream.Id;

        /// <summary>Scheme, host and port: what the forwarder puts before the request's own path.</summary>
        public string Prefix { get; } = upstream.Address.GetLeftPart(UriPartial.Authority);

        public UpstreamState State { get; } = state;
    }
}
