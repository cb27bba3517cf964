namespace BytePort.Edge.Routing;

/// <summary>Host names as they come in a Host header.</summary>
internal static class HostNames
{
    /// <summary>RFC 1035 §2.3.4 allows 253 characters; a port and a trailing dot may follow.</summary>
    public const int MaxLength = 253;

    /// <summary>Takes off the port and a trailing dot. Letter case is left to the comparer that looks it up.</summary>
    public static ReadOnlySpan<char> Strip(ReadOnlySpan<char> host)
    {
        if (host.IsEmpty)
            return host;
        if (host[0] == '[')
        {
            var close = host.IndexOf(']');
            return close < 0 ? host : host[..(close + 1)];
        }

        var colon = host.IndexOf(':');
        if (colon >= 0)
            host = host[..colon];
        return host.EndsWith(".") ? host[..^1] : host;
    }
}
