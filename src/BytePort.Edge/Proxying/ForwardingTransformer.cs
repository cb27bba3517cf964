using System.Collections.Frozen;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using Yarp.ReverseProxy.Forwarder;

namespace BytePort.Edge.Proxying;

/// <summary>Makes the request that a service sees: the visitor's Host, and X-Forwarded-* that can be believed.</summary>
internal sealed class ForwardingTransformer(IReadOnlyList<IPNetwork> trusted) : HttpTransformer
{
    private const string For = "X-Forwarded-For";
    private const string Proto = "X-Forwarded-Proto";
    private const string Host = "X-Forwarded-Host";

    /// <summary>Statements about the visitor that only a proxy in front may make; a stranger's are dropped.</summary>
    private static readonly string[] Claims = [For, Proto, Host, "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Real-IP", "Forwarded"];

    /// <summary>Named in Connection these would change who is asked or where the body ends; the forwarder deals with Upgrade itself.</summary>
    private static readonly FrozenSet<string> Kept =
        new[] { HeaderNames.Host, HeaderNames.Upgrade, HeaderNames.ContentLength, HeaderNames.TransferEncoding, "close", "keep-alive" }
            .ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    private static readonly UriCreationOptions AsWritten = new() { DangerousDisablePathAndQueryCanonicalization = true };

    public override async ValueTask TransformRequestAsync(
        HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        var request = httpContext.Request;
        var peer = httpContext.Connection.RemoteIpAddress;
        if (peer is { IsIPv4MappedToIPv6: true })
            peer = peer.MapToIPv4();
        var believed = peer is not null && IsTrusted(peer);
        if (!believed)
        {
            foreach (var claim in Claims)
                request.Headers.Remove(claim);
        }

        if (request.Headers.Connection is { Count: > 0 } connection)
            RemoveNamed(request.Headers, connection.ToString());
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken).ConfigureAwait(false);

        // The path goes on as it came: decoding and encoding it again would change what the service sees.
        var target = httpContext.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (target.StartsWith('/'))
            proxyRequest.RequestUri = new Uri(destinationPrefix + target, AsWritten);
        proxyRequest.Headers.Host = request.Host.Value;
        if (peer is not null)
            proxyRequest.Headers.TryAddWithoutValidation(For, peer.ToString());
        if (!believed || !request.Headers.ContainsKey(Proto))
            proxyRequest.Headers.TryAddWithoutValidation(Proto, request.Scheme);
        if (!believed || !request.Headers.ContainsKey(Host))
            proxyRequest.Headers.TryAddWithoutValidation(Host, request.Host.Value);
    }

    /// <summary>Headers named in Connection were meant for this hop only (RFC 9110 §7.6.1).</summary>
    private static void RemoveNamed(IHeaderDictionary headers, string connection)
    {
        foreach (var name in connection.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (!Kept.Contains(name))
                headers.Remove(name);
        }
    }

    private bool IsTrusted(IPAddress peer)
    {
        foreach (var network in trusted)
        {
            if (network.Contains(peer))
                return true;
        }

        return false;
    }
}
