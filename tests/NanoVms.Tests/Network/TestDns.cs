using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace NanoVms.Tests.Network;

/// <summary>The few bytes of DNS (RFC 1035) that the tests speak.</summary>
internal static class TestDns
{
    public static byte[] Query(string name)
    {
        var query = new List<byte> { 0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0 };
        foreach (var label in name.Split('.'))
        {
            query.Add((byte)label.Length);
            query.AddRange(Encoding.ASCII.GetBytes(label));
        }

        query.AddRange([0, 0, 1, 0, 1]);
        return [.. query];
    }

    /// <summary>The last four bytes of an answer with one address; null without an answer.</summary>
    public static IPAddress? Address(ReadOnlySpan<byte> message) =>
        BinaryPrimitives.ReadUInt16BigEndian(message[6..]) == 0 ? null : new IPAddress(message[^4..]);

    /// <summary>Answers every question: names that begin with "rebind" by a private address, others by a public one.</summary>
    public static async Task ServeAsync(Socket socket)
    {
        var buffer = new byte[1500];
        try
        {
            while (true)
            {
                var received = await socket.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0));
                var query = buffer.AsSpan(0, received.ReceivedBytes);
                byte[] address = query.IndexOf("rebind"u8) >= 0 ? [10, 0, 0, 1] : [203, 0, 113, 7];
                var questionEnd = 12 + query[12..].IndexOf((byte)0) + 5;
                byte[] answer =
                [
                    query[0], query[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, .. query[12..questionEnd],
                    0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, .. address,
                ];
                _ = await socket.SendToAsync(answer, received.RemoteEndPoint);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }
}
