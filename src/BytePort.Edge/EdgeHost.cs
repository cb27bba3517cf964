using System.Collections.Concurrent;
using BytePort.Edge.Proxying;
using BytePort.Edge.Routing;

namespace BytePort.Edge;

/// <summary>
/// Holds what the edge serves now and what is under way. One per process. All members may be used from any thread.
/// </summary>
public sealed class EdgeHost
{
    private readonly ConcurrentDictionary<string, UpstreamState> _upstreams = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ServiceActivity> _services = new(StringComparer.Ordinal);
    private readonly Lock _updating = new();
    private readonly TimeProvider _time;
    private EdgeSnapshot _current;

    public EdgeHost(TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(time);
        _time = time;
        _current = new EdgeSnapshot(RouteTable.Empty, this);
    }

    /// <summary>The table that new requests are routed by.</summary>
    public RouteTable Routes => Current.Table;

    internal EdgeSnapshot Current => Volatile.Read(ref _current);

    /// <summary>
    /// Routes new requests by <paramref name="table"/> from the moment this returns. Requests under way finish where they
    /// began. After it, <see cref="DrainAsync"/> on an upstream that is in no table misses no request.
    /// </summary>
    public void Update(RouteTable table)
    {
        ArgumentNullException.ThrowIfNull(table);
        lock (_updating)
        {
            var next = new EdgeSnapshot(table, this);
            Interlocked.Exchange(ref _current, next);
            foreach (var (id, state) in _upstreams)
            {
                if (!next.UpstreamIds.Contains(id) && state.InFlight == 0)
                    _upstreams.TryRemove(new KeyValuePair<string, UpstreamState>(id, state));
            }

            foreach (var (name, activity) in _services)
            {
                if (!next.ServiceNames.Contains(name) && activity.InFlight == 0)
                    _services.TryRemove(new KeyValuePair<string, ServiceActivity>(name, activity));
            }
        }
    }

    /// <summary>Requests (and WebSockets) under way at an upstream; 0 for an unknown one.</summary>
    public int CountInFlight(string upstreamId) => _upstreams.TryGetValue(upstreamId, out var state) ? state.InFlight : 0;

    /// <summary>
    /// Waits until nothing is under way at an upstream. Take it out of the routes first (<see cref="Update"/>), else new
    /// requests keep coming.
    /// </summary>
    /// <returns>True when it is idle, false when <paramref name="timeout"/> passed first.</returns>
    public async Task<bool> DrainAsync(string upstreamId, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        if (!_upstreams.TryGetValue(upstreamId, out var state))
            return true;
        try
        {
            await state.WhenIdle().WaitAsync(timeout, _time, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return state.InFlight == 0;
        }
    }

    /// <summary>When a request to a service (<see cref="ProxyTarget.ServiceName"/>) last began or ended; null if none did since it was routed.</summary>
    public DateTimeOffset? GetLastActivity(string serviceName) =>
        _services.TryGetValue(serviceName, out var activity) ? activity.Last : null;

    /// <summary>Requests under way at all upstreams of a service, those of earlier route tables included.</summary>
    public int CountServiceInFlight(string serviceName) =>
        _services.TryGetValue(serviceName, out var activity) ? activity.InFlight : 0;

    internal UpstreamState GetUpstream(string id) => _upstreams.GetOrAdd(id, static _ => new UpstreamState());

    internal ServiceActivity GetService(string name) => _services.GetOrAdd(name, static (_, time) => new ServiceActivity(time), _time);
}
