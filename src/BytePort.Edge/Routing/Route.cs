namespace BytePort.Edge.Routing;

/// <summary>Requests whose path is <paramref name="Prefix"/> or lies under it go to <paramref name="Target"/>.</summary>
/// <param name="Prefix">
/// Begins with <c>/</c>. Matches whole segments, case-sensitive: <c>/api</c> takes <c>/api</c> and <c>/api/x</c>, not
/// <c>/apis</c>. A trailing slash is ignored. The target sees the whole path.
/// </param>
/// <param name="Target">What answers.</param>
public sealed record Route(string Prefix, RouteTarget Target);
