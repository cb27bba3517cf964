using System.Net;
using System.Net.Sockets;

namespace NanoVms.Network;

/// <summary>A port of the computer that leads to one of a machine's. The kernel carries it, so it works while no server runs.</summary>
/// <param name="HostPort">1 to 65535; one machine at a time may have it.</param>
/// <param name="GuestPort">1 to 65535.</param>
/// <param name="Protocol">TCP or UDP.</param>
/// <param name="HostAddress">The IPv4 address of the computer at which it answers, <c>127.0.0.1</c> for itself alone; null for all of them.</param>
public sealed record PortMapping(int HostPort, int GuestPort, ProtocolType Protocol = ProtocolType.Tcp, string? HostAddress = null)
{
    /// <summary>As in <c>127.0.0.1:8080/tcp to 80</c>.</summary>
    public override string ToString() => $"{HostAddress ?? "*"}:{HostPort}/{Name} to {GuestPort}";

    internal string Name => Protocol == ProtocolType.Udp ? "udp" : "tcp";

    /// <summary>What is wrong, in sentences; empty when nothing is.</summary>
    internal IEnumerable<string> FindErrors()
    {
        if (HostPort is < 1 or > 65535 || GuestPort is < 1 or > 65535)
            yield return $"Port {this} is not between 1 and 65535 on both sides.";
        if (Protocol is not (ProtocolType.Tcp or ProtocolType.Udp))
            yield return $"Port {this} is neither TCP nor UDP.";
        if (HostAddress is not null && !(IPAddress.TryParse(HostAddress, out var address) && address.AddressFamily == AddressFamily.InterNetwork))
            yield return $"Port {this} has the address '{HostAddress}', which is not IPv4.";
    }

    /// <exception cref="NetworkException">A program of the computer has the port already; it would no longer be reached.</exception>
    internal void ThrowIfTaken()
    {
        var address = HostAddress is null ? IPAddress.Any : IPAddress.Parse(HostAddress);
        using var socket = new Socket(AddressFamily.InterNetwork, Protocol == ProtocolType.Udp ? SocketType.Dgram : SocketType.Stream, Protocol);
        try
        {
            socket.Bind(new IPEndPoint(address, HostPort));
        }
        catch (SocketException e)
        {
            throw new NetworkException($"Port {this} cannot be published: {e.Message}. Choose another, or end the program that has it.", e);
        }
    }
}
