using System.Collections.Frozen;

namespace BytePort.Edge.Routing;

/// <summary>An immutable snapshot of everything the edge serves. <see cref="EdgeHost.Update"/> swaps whole tables.</summary>
public sealed class RouteTable
{
    private readonly FrozenDictionary<string, SiteRoutes>.AlternateLookup<ReadOnlySpan<char>> _lookup;

    /// <param name="sites">Host name (no port; letter case and a trailing dot do not matter) to its routes.</param>
    /// <exception cref="ArgumentException">A host name is empty, too long, holds a port, or occurs twice.</exception>
    public RouteTable(IEnumerable<KeyValuePair<string, SiteRoutes>> sites)
    {
        ArgumentNullException.ThrowIfNull(sites);
        var byHost = new Dictionary<string, SiteRoutes>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, routes) in sites)
        {
            var host = HostNames.Strip(name).ToString();
            if (host.Length is 0 or > HostNames.MaxLength || host.Length < name.TrimEnd('.').Length)
                throw new ArgumentException($"\"{name}\" is not a host name. Give a name of 1-{HostNames.MaxLength} characters without a port.", nameof(sites));
            if (!byHost.TryAdd(host, routes))
                throw new ArgumentException($"The host \"{host}\" occurs more than once. Put all its routes into one entry.", nameof(sites));
        }

        Sites = byHost.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
        _lookup = Sites.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    public static RouteTable Empty { get; } = new([]);

    /// <summary>Host name to routes, letter case ignored.</summary>
    public FrozenDictionary<string, SiteRoutes> Sites { get; }

    /// <summary>The routes of a Host header's value (port and trailing dot allowed), or null for an unknown host.</summary>
    public SiteRoutes? Find(string host) => _lookup.TryGetValue(HostNames.Strip(host), out var routes) ? routes : null;
}
