using System.Net;
using BytePort.Edge.Errors;
using BytePort.Edge.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Yarp.ReverseProxy.Forwarder;

namespace BytePort.Edge.Proxying;

/// <summary>Passes requests on to the running copies of services.</summary>
internal sealed class ProxyHandler : IDisposable
{
    /// <summary>More would only make the visitor wait: when three copies refuse connections, the service is down.</summary>
    private const int MaxAttempts = 3;

    private readonly IHttpForwarder _forwarder;
    private readonly ILogger _log;
    private readonly HttpMessageInvoker _client;
    private readonly ForwardingTransformer _transformer;
    private readonly ForwarderRequestConfig _config;
    private readonly long? _maxBody;

    public ProxyHandler(IHttpForwarder forwarder, IOptions<EdgeOptions> options, ILogger<ProxyHandler> log)
    {
        var edge = options.Value;
        _forwarder = forwarder;
        _log = log;
        _transformer = new ForwardingTransformer([.. edge.TrustedProxies]);
        _config = new ForwarderRequestConfig { ActivityTimeout = edge.ActivityTimeout, Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        _maxBody = edge.MaxRequestBodyBytes;
        _client = UpstreamClient.Create(edge.ConnectTimeout);
    }

    public void Dispose() => _client.Dispose();

    /// <summary>
    /// 1. Choose the upstream with the fewest requests under way and count this one in.
    /// 2. Check that the routes are still those that were read: who swaps them waits for counts to fall (drain), and
    ///    a request that was not counted yet must not reach an upstream that was already found idle.
    /// 3. Forward. When no connection could be opened, nothing was sent, so another upstream may try.
    /// </summary>
    /// <returns>False when the routes changed before anything was sent: the caller routes anew.</returns>
    public async Task<bool> TryHandleAsync(HttpContext context, EdgeHost edge, EdgeSnapshot snapshot, ProxyTarget target)
    {
        var pool = snapshot.Pool(target);
        List<string>? tried = null;
        while (true)
        {
            // 1.
            var member = tried is null || tried.Count < MaxAttempts ? pool.Choose(tried) : null;
            if (member is null)
            {
                if (tried is null)
                    await ErrorPage.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "No copy of this service is running right now.").ConfigureAwait(false);
                else
                    await ErrorPage.WriteAsync(context, StatusCodes.Status502BadGateway, "The service did not accept the connection.").ConfigureAwait(false);
                return true;
            }

            member.State.Enter();
            pool.Activity.Enter();
            try
            {
                // 2.
                if (!ReferenceEquals(edge.Current, snapshot))
                    return false;

                // 3.
                if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
                    limit.MaxRequestBodySize = _maxBody;
                var error = await _forwarder.SendAsync(context, member.Prefix, _client, _config, _transformer).ConfigureAwait(false);
                if (error == ForwarderError.None)
                    return true;
                var cause = context.Features.Get<IForwarderErrorFeature>()?.Exception;
                if (error == ForwarderError.Request && cause is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } && !context.Response.HasStarted)
                {
                    Log.ConnectFailed(_log, pool.ServiceName, member.Id, member.Prefix, cause.Message);
                    (tried ??= []).Add(member.Id);
                    context.Response.Clear();
                    continue;
                }

                await AnswerAsync(context, pool, member, error, cause).ConfigureAwait(false);
                return true;
            }
            finally
            {
                pool.Activity.Leave();
                member.State.Leave();
            }
        }
    }

    private async Task AnswerAsync(HttpContext context, UpstreamPool pool, UpstreamPool.Member member, ForwarderError error, Exception? cause)
    {
        var canceled = context.RequestAborted.IsCancellationRequested;
        if (!canceled)
            Log.ForwardFailed(_log, pool.ServiceName, member.Id, member.Prefix, error, cause?.Message ?? "no detail");
        if (context.Response.HasStarted || canceled)
            return;
        var status = context.Response.StatusCode;
        context.Response.Clear();
        await (status switch
        {
            StatusCodes.Status400BadRequest => ErrorPage.WriteAsync(context, status, "The request body could not be read."),
            StatusCodes.Status413PayloadTooLarge => ErrorPage.WriteAsync(context, status, "The request body is larger than this service accepts."),
            StatusCodes.Status504GatewayTimeout => ErrorPage.WriteAsync(context, status, "The service took too long to answer."),
            _ => ErrorPage.WriteAsync(context, StatusCodes.Status502BadGateway, "The service ended the connection without a complete answer."),
        }).ConfigureAwait(false);
    }
}
