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
    private const nuint DeleteRoute = 0x890C;
    private const nuint GetFlags = 0x8913;
    private const nuint SetFlags = 0x8914;
    private const nuint SetAddress = 0x8916;
    private const nuint SetName = 0x8923;
    private const nuint SetMask = 0x891C;
    private const nuint SetMtu = 0x8922;
    private const nuint SetHardwareAddress = 0x8924;
    private const short Ethernet = 1;
    private const int NameLength = 16;
    private const short Up = 1;

    public static void BringUp(string card) => Switch(card, up: true);

    /// <summary>
    /// Names the cards in the host's order: which one a kernel finds first is its own affair. The first card is the one that none of the
    /// others' addresses is of. Before any is up.
    /// </summary>
    public static void NameCards(IReadOnlyList<GuestCard> others)
    {
        var found = Files.List("/sys/class/net").FindAll(card => card.StartsWith("eth", StringComparison.Ordinal));
        var wanted = new Dictionary<string, string>();
        foreach (var card in found)
        {
            var mac = Files.TryReadText($"/sys/class/net/{card}/address", 64).Trim();
            var index = 0;
            for (var i = 0; i < others.Count; i++)
                index = string.Equals(others[i].MacAddress, mac, StringComparison.OrdinalIgnoreCase) ? i + 1 : index;
            if (!wanted.TryAdd($"eth{index}", card))
                throw new AgentFailure($"there are two network cards for eth{index}: {card} has the address {mac}");
        }

        // By other names first, as each may want one that another still has.
        foreach (var (name, card) in wanted)
        {
            if (name != card)
                Rename(card, $"n{name}");
        }

        foreach (var (name, card) in wanted)
        {
            if (name != card)
                Rename($"n{name}", name);
        }
    }

    /// <summary>
    /// Gives a card another identity, without taking it down where its driver allows that: that would cost a restored guest more than
    /// all else. Routes and neighbors of an address go with it; a change of the MAC address is announced.
    /// </summary>
    /// <param name="mac">Six bytes in hexadecimal with colons, or null to keep it.</param>
    /// <param name="network">Null keeps addresses and routes.</param>
    public static void Change(string card, string? mac, GuestNetwork? network, GuestNetwork? before)
    {
        Files.TryWrite($"/proc/sys/net/ipv4/conf/{card}/arp_notify", "1");
        if (network is not null)
        {
            if (before?.Gateway is { } old)
                _ = Route(DeleteRoute, old);
            if (before is not null && before.Mtu == network.Mtu)
                ConfigureAddress(card, network);
            else
                Configure(card, network);
        }

        if (mac is null || SetMac(card, mac) == 0)
            return;
        Switch(card, up: false);
        Check(SetMac(card, mac), $"give {card} the MAC address {mac}");
        Switch(card, up: true);
        if ((network ?? before)?.Gateway is { } gateway)
            AddRouteBy(gateway);
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
        ConfigureAddress(card, network, isUp: false);
    }

    private static void ConfigureAddress(string card, GuestNetwork network, bool isUp = true)
    {
        Span<byte> request = stackalloc byte[40];
        Name(card, request);
        Address(network.Address, request[NameLength..]);
        Ask(SetAddress, request, $"give {card} the address {network.Address}");
        Name(card, request);
        var mask = network.PrefixLength == 0 ? 0 : uint.MaxValue << (32 - network.PrefixLength);
        Address(new IPAddress(BinaryPrimitives.ReverseEndianness(mask)), request[NameLength..]);
        Ask(SetMask, request, $"give {card} the prefix /{network.PrefixLength}");
        if (!isUp)
            BringUp(card);
        if (network.Gateway is not null)
            AddRouteBy(network.Gateway);
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

    private static void Rename(string card, string name)
    {
        Span<byte> request = stackalloc byte[40];
        Name(card, request);
        Encoding.UTF8.GetBytes(name, request[NameLength..]);
        Ask(SetName, request, $"call the network card {card} {name}");
    }

    private static int SetMac(string card, string mac)
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

        return Try(SetHardwareAddress, request);
    }

    private static void AddRouteBy(IPAddress gateway)
    {
        var error = Route(AddRoute, gateway);
        if (error != Errno.EEXIST)
            Check(error, $"add the route by {gateway}");
    }

    private static int Route(nuint what, IPAddress gateway)
    {
        // struct rtentry: 8 bytes unused, destination, gateway and mask as socket addresses, flags (up, gateway), the rest unused.
        Span<byte> request = stackalloc byte[120];
        request.Clear();
        Address(IPAddress.Any, request[8..]);
        Address(gateway, request[24..]);
        Address(IPAddress.Any, request[40..]);
        BinaryPrimitives.WriteUInt16LittleEndian(request[56..], 3);
        return Try(what, request);
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

    private static void Ask(nuint request, Span<byte> argument, string doing) => Check(Try(request, argument), doing);

    private static void Check(int error, string doing)
    {
        if (error != 0)
            throw new AgentFailure($"cannot {doing}: {Errno.Describe(error)}");
    }

    /// <returns>0, or why not.</returns>
    private static int Try(nuint request, Span<byte> argument)
    {
        // AF_INET, SOCK_DGRAM | SOCK_CLOEXEC.
        var socket = Libc.Socket(2, 0x80002, 0);
        int error;
        // SAFETY: the kernel reads and writes no more than the structure that the span has room for.
        fixed (byte* start = argument)
            error = Libc.IoControl(socket, request, start) == 0 ? 0 : Errno.Last;
        _ = Libc.Close(socket);
        return error;
    }
}
