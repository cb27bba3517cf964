using System.Net.Sockets;

namespace BytePort.Server.Instances;

/// <summary>Asks a server whether it is well: its health path answers 2xx or 3xx, or without one the port accepts a connection.</summary>
internal sealed class HealthCheck(HttpClient http, string? path)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <returns>What is wrong, or null.</returns>
    public async Task<string?> CheckAsync(Uri address, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            if (path is null)
            {
                using var client = new TcpClient();
                await client.ConnectAsync(address.Host, address.Port, patience.Token);
                return null;
            }

            using var response = await http.GetAsync(new Uri(address, path), HttpCompletionOption.ResponseHeadersRead, patience.Token);
            return (int)response.StatusCode is >= 200 and < 400 ? null : $"{path} answered {(int)response.StatusCode}.";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"{path ?? "The port"} did not answer within {Patience.TotalSeconds} s.";
        }
        catch (Exception exception) when (exception is SocketException or HttpRequestException)
        {
            return exception.GetBaseException() is SocketException { SocketErrorCode: SocketError.ConnectionRefused }
                ? $"Nothing listens on port {address.Port}."
                : $"{path ?? "The port"} cannot be reached ({exception.GetBaseException().Message}).";
        }
    }
}
