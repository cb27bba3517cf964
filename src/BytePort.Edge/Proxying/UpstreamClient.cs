using System.Net;
using System.Net.Sockets;

namespace BytePort.Edge.Proxying;

/// <summary>The one HTTP client that every proxied request uses.</summary>
internal static class UpstreamClient
{
    public static HttpMessageInvoker Create(TimeSpan connectTimeout) => new(
        new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = null,
            EnableMultipleHttp2Connections = true,
            // Node closes idle connections after 5 s: letting go first avoids sending into a closing one.
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(4),
            MaxResponseHeadersLength = 64,
            ConnectTimeout = Timeout.InfiniteTimeSpan,
            ConnectCallback = (context, cancellationToken) => ConnectAsync(context.DnsEndPoint, connectTimeout, cancellationToken),
        },
        disposeHandler: true);

    /// <summary>
    /// A time-out here is a <see cref="SocketException"/>, so that it is told apart from a request that was sent and not
    /// answered, and may be tried on another upstream.
    /// </summary>
    private static async ValueTask<Stream> ConnectAsync(DnsEndPoint address, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        try
        {
            await socket.ConnectAsync(address, limit.Token).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            socket.Dispose();
            throw new SocketException((int)SocketError.TimedOut);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
