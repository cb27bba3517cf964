using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Text;
using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>Network cards, by the socket requests of netdevice(7).</summary>
internal static unsafe class NetworkSetup
{
    private const nuint AddRoute = 0x890B;
    private const nuint GetFlags = 0x8913;
    private const nuint SetFlags = 0x8914;
    private const nuint SetAddress = 0x8916;
    private const nuint SetMask = 0x891C;
    private const nuint SetMtu = 0x8922;
    private const nuint SetHardwareAddress = 0x8924;
    private const short Ethernet = 1;
    private const int NameLength = 16;
    private const short Up = 1;

    public static void BringUp(string card) => Switch(card, up: true);

    /// <summary>
    /// Gives a card another identity. It is down meanwhile, which forgets addresses, routes and neighbors of the old one; when it
    /// comes up it tells its neighbors.
    /// </summary>
    /// <param name="mac">Six bytes in hexadecimal with colons, or null to keep it.</param>
    /// <param name="network">Null keeps addresses and routes.</param>
    public static void Change(string card, string? mac, GuestNetwork? network, GuestNetwork? before)
    {
        if (mac is null && network is null)
            return;
        Files.TryWrite($"/proc/sys/net/ipv4/conf/{card}/arp_notify", "1");
        Switch(card, up: false);
        if (mac is not null)
            SetMac(card, mac);
        if (network is not null)
        {
            Configure(card, network);
            return;
        }

        Switch(card, up: true);
        if (before?.Gateway is { } gateway)
            Route(gateway);
    }

    public static void Configure(string card, GuestNetwork network)
    {
        // The guest's network is IPv4: without these a stray router on the bridge could give it more. Loopback keeps ::1.
        Files.TryWrite($"/proc/sys/net/ipv6/conf/{card}/accept_ra", "0");
        Files.TryWrite($"/proc/sys/net/ipv6/conf/{card}/disable_ipv6", "1");
        Span<byte> request = stackalloc byte[40];
        Name(card, request);
        BinaryPrimitives.WriteInt32LittleEndian(request[NameLength..], network.Mtu);
        Ask(SetMtu, request, $"set the MTU of {card} to {network.Mtu}");
        Name(card, request);
        Address(network.Address, request[NameLength..]);
        Ask(SetAddress, request, $"give {card} the address {network.Address}");
        Name(card, request);
        var mask = network.PrefixLength == 0 ? 0 : uint.MaxValue << (32 - network.PrefixLength);
        Address(new IPAddress(BinaryPrimitives.ReverseEndianness(mask)), request[NameLength..]);
        Ask(SetMask, request, $"give {card} the prefix /{network.PrefixLength}");
        BringUp(card);
        if (network.Gateway is not null)
            Route(network.Gateway);
    }

    private static void Switch(string card, bool up)
    {
        // struct ifreq: the name, then a union of 24 bytes.
        Span<byte> request = stackalloc byte[40];
        Name(card, request);
        Ask(GetFlags, request, $"find the network card {card}");
        var flags = BinaryPrimitives.ReadInt16LittleEndian(request[NameLength..]);
        BinaryPrimitives.WriteInt16LittleEndian(request[NameLength..], (short)(up ? flags | Up : flags & ~Up));
        Ask(SetFlags, request, $"bring the network card {card} {(up ? "up" : "down")}");
    }

    private static void SetMac(string card, string mac)
    {
        Span<byte> request = stackalloc byte[40];
        Name(card, request);
        BinaryPrimitives.WriteInt16LittleEndian(request[NameLength..], Ethernet);
        var parts = mac.Split(':');
        for (var i = 0; i < 6; i++)
        {
            if (parts.Length != 6 || !byte.TryParse(parts[i], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out request[NameLength + 2 + i]))
                throw new AgentFailure($"'{mac}' is not a MAC address");
        }

        Ask(SetHardwareAddress, request, $"give {card} the MAC address {mac}");
    }

    private static void Route(IPAddress gateway)
    {
        // struct rtentry: 8 bytes unused, destination, gateway and mask as socket addresses, flags (up, gateway), the rest unused.
        Span<byte> request = stackalloc byte[120];
        request.Clear();
        Address(IPAddress.Any, request[8..]);
        Address(gateway, request[24..]);
        Address(IPAddress.Any, request[40..]);
        BinaryPrimitives.WriteUInt16LittleEndian(request[56..], 3);
        Ask(AddRoute, request, $"add the route by {gateway}");
    }

    private static void Name(string card, Span<byte> request)
    {
        request.Clear();
        Encoding.UTF8.GetBytes(card, request[..(NameLength - 1)]);
    }

    /// <summary>struct sockaddr_in, 16 bytes.</summary>
    private static void Address(IPAddress address, Span<byte> target)
    {
        target[..16].Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(target, 2);
        address.TryWriteBytes(target[4..], out _);
    }

    private static void Ask(nuint request, Span<byte> argument, string doing)
    {
        // AF_INET, SOCK_DGRAM | SOCK_CLOEXEC.
        var socket = Libc.Socket(2, 0x80002, 0);
        int result;
        // SAFETY: the kernel reads and writes no more than the structure that the span has room for.
        fixed (byte* start = argument)
            result = Libc.IoControl(socket, request, start);
        var failure = result == 0 ? null : AgentFailure.Of($"cannot {doing}");
        _ = Libc.Close(socket);
        if (failure is not null)
            throw failure;
    }
}
