using System.Globalization;
using System.Net.Sockets;
using System.Text;
using NanoVms.Commands;

namespace NanoVms.Drivers.Vsock;

/// <summary>
/// The way into a guest by a hypervisor that ends vsock in a Unix socket (Firecracker's docs/vsock.md; Cloud Hypervisor does the same):
/// the host sends <c>CONNECT PORT</c> and a line feed, gets <c>OK NUMBER</c> and a line feed, and from then on talks with the program that
/// listens at the port in the guest.
/// </summary>
internal static class VsockChannel
{
    /// <summary>Where the agent listens in the guest (docs/reference/agent-protocol.md).</summary>
    public const uint AgentPort = 1024;

    /// <summary>The number by which the guest knows itself; no two hypervisors share a space of numbers, so all guests have the same.</summary>
    public const uint GuestCid = 3;

    private const int MaxLine = 32;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    /// <exception cref="IOException">Nobody listens in the guest, or the answer is not as it should be.</exception>
    /// <exception cref="SocketException">The hypervisor does not listen.</exception>
    public static async Task<Stream> ConnectAsync(string folder, string socket, uint port, TimeProvider time, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(Limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        NetworkStream? stream = null;
        try
        {
            stream = await UnixSockets.ConnectAsync(folder, socket, either.Token);
            await stream.WriteAsync(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"CONNECT {port}\n")), either.Token);
            var line = await ReadLineAsync(stream, either.Token);
            if (!IsAccepted(line))
                throw new IOException($"The hypervisor did not connect to port {port.ToString(CultureInfo.InvariantCulture)} of the guest: it answered {line.Length} bytes that are no 'OK'.");
            return stream;
        }
        catch (Exception e)
        {
            if (stream is not null)
                await stream.DisposeAsync();
            if (e is OperationCanceledException && !cancellationToken.IsCancellationRequested)
                throw new IOException($"The hypervisor did not connect to the guest in {Limit.TotalSeconds:0} seconds.", e);
            throw;
        }
    }

    /// <summary>Byte by byte: what follows the line is the guest's.</summary>
    private static async Task<string> ReadLineAsync(NetworkStream stream, CancellationToken cancellationToken)
    {
        var line = new StringBuilder();
        var one = new byte[1];
        while (line.Length < MaxLine)
        {
            if (await stream.ReadAsync(one, cancellationToken) == 0)
                throw new IOException("Nobody listens in the guest yet, or any more: the hypervisor closed the connection.");
            if (one[0] == '\n')
                return line.ToString();
            _ = line.Append((char)one[0]);
        }

        return line.ToString();
    }

    private static bool IsAccepted(string line) =>
        line.StartsWith("OK ", StringComparison.Ordinal) && uint.TryParse(line.AsSpan(3), NumberStyles.None, CultureInfo.InvariantCulture, out _);
}
