using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace BytePort.Edge.Listening.Loops;

/// <summary>Accepts connections and spreads them over the loops.</summary>
internal sealed class LoopListener(Socket socket, EventLoop[] loops, BlockPool pool) : IConnectionListener
{
    private static long _accepted;

    public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            Socket? accepted = null;
            try
            {
                accepted = await socket.AcceptAsync(cancellationToken).ConfigureAwait(false);
                accepted.NoDelay = true;
                var number = Interlocked.Increment(ref _accepted);
                var connection = new LoopConnection(number.ToString("x", CultureInfo.InvariantCulture), accepted, loops[(int)((ulong)number % (ulong)loops.Length)], pool);
                connection.Start();
                return connection;
            }
            catch (ObjectDisposedException)
            {
                return null;
            }
            catch (SocketException exception) when (exception.SocketErrorCode is SocketError.OperationAborted)
            {
                accepted?.Dispose();
                return null;
            }
            catch (SocketException exception) when (exception.SocketErrorCode is SocketError.TooManyOpenSockets)
            {
                // Trying at once would only burn the processor until a connection ends.
                await Task.Delay(100, cancellationToken).ConfigureAwait(false);
            }
            catch (SocketException)
            {
                // This client went away while it was accepted; the next one may not.
                accepted?.Dispose();
            }
        }
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => UnbindAsync(CancellationToken.None);
}
