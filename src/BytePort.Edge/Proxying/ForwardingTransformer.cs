using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace BytePort.Edge.Proxying;

/// <summary>Makes the request that a service sees: the visitor's Host, and X-Forwarded-* that can be believed.</summary>
internal sealed class ForwardingTransformer(IReadOnlyList<IPNetwork> trusted) : HttpTransformer
{
    private const string For = "X-Forwarded-For";
    private const string Proto = "X-Forwarded-Proto";
    private const string Host = "X-Forwarded-Host";

    /// <summary>Statements about the visitor that only a proxy in front may make; a stranger's are dropped.</summary>
    private static readonly string[] _claims = [For, Proto, Host, "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Real-IP", "Forwarded"];

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
            foreach (var claim in _claims)
                request.Headers.Remove(claim);
        }

        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken).ConfigureAwait(false);

        // The path goes on as it came: decoding and encoding it again would change what the service sees.
        var target = httpContext.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (target.StartsWith('/'))
            proxyRequest.RequestUri = new Uri(destinationPrefix + target, _asWritten);
        proxyRequest.Headers.Host = request.Host.Value;
        if (peer is not null)
            proxyRequest.Headers.TryAddWithoutValidation(For, peer.ToString());
        if (!believed || !request.Headers.ContainsKey(Proto))
            proxyRequest.Headers.TryAddWithoutValidation(Proto, request.Scheme);
        if (!believed || !request.Headers.ContainsKey(Host))
            proxyRequest.Headers.TryAddWithoutValidation(Host, request.Host.Value);
    }

    private static readonly UriCreationOptions _asWritten = new() { DangerousDisablePathAndQueryCanonicalization = true };

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
