namespace BytePort.Edge.Routing;

/// <summary>The routes of one host, tried longest prefix first.</summary>
public sealed class SiteRoutes
{
    private readonly Route[] _routes;

    /// <exception cref="ArgumentException">A prefix does not begin with a slash, or occurs twice.</exception>
    public SiteRoutes(IEnumerable<Route> routes)
    {
        ArgumentNullException.ThrowIfNull(routes);
        _routes = [.. routes.Select(Normalise).OrderByDescending(route => route.Prefix.Length)];
        var twice = _routes.GroupBy(route => route.Prefix, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1);
        if (twice is not null)
            throw new ArgumentException($"The route prefix \"{Display(twice.Key)}\" occurs more than once. Give each service a prefix of its own.", nameof(routes));
    }

    /// <summary>One target for every path.</summary>
    public SiteRoutes(RouteTarget target)
        : this([new Route("/", target)])
    {
    }

    /// <summary>Longest prefix first; the root's prefix is the empty string.</summary>
    public IReadOnlyList<Route> Routes => _routes;

    /// <summary>The route for a decoded path, or null when no prefix matches.</summary>
    public Route? Match(string path)
    {
        foreach (var route in _routes)
        {
            var prefix = route.Prefix;
            if (path.StartsWith(prefix, StringComparison.Ordinal) && (path.Length == prefix.Length || prefix.Length == 0 || path[prefix.Length] == '/'))
                return route;
        }

        return null;
    }

    private static Route Normalise(Route route)
    {
        if (!route.Prefix.StartsWith('/'))
            throw new ArgumentException($"The route prefix \"{route.Prefix}\" does not begin with a slash. Write \"/{route.Prefix}\".", nameof(route));
        return route with { Prefix = route.Prefix.TrimEnd('/') };
    }

    private static string Display(string prefix) => prefix.Length == 0 ? "/" : prefix;
}
