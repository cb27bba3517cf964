using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace NanoVms.Network;

/// <summary>An IPv4 network.</summary>
public readonly record struct Ipv4Prefix
{
    private readonly uint _network;

    private Ipv4Prefix(uint network, int length)
    {
        _network = network & Mask(length);
        Length = length;
    }

    /// <summary>0 to 32.</summary>
    public int Length { get; }

    /// <summary>How many addresses it holds, its own and the broadcast one included.</summary>
    public long Count => 1L << (32 - Length);

    /// <summary>Reads <c>10.77.0.0/16</c>; an address alone is a /32. Bits past the length are dropped.</summary>
    public static bool TryParse(string? text, out Ipv4Prefix prefix)
    {
        prefix = default;
        var parts = (text ?? "").Split('/');
        var length = 32;
        if (parts.Length > 2
            || (parts.Length == 2 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out length))
            || length > 32
            || !IPAddress.TryParse(parts[0], out var address)
            || address.AddressFamily != AddressFamily.InterNetwork)
        {
            return false;
        }

        prefix = new Ipv4Prefix(ToNumber(address), length);
        return true;
    }

    /// <exception cref="FormatException">Not an IPv4 network.</exception>
    public static Ipv4Prefix Parse(string text) =>
        TryParse(text, out var prefix) ? prefix : throw new FormatException($"'{text}' is not an IPv4 network such as 10.77.0.0/16.");

    /// <summary>The address at an index, 0 being the network's own.</summary>
    public IPAddress At(long index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        return FromNumber(_network + (uint)index);
    }

    public bool Contains(IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetwork && (ToNumber(address) & Mask(Length)) == _network;

    public bool Overlaps(Ipv4Prefix other)
    {
        var shorter = Mask(Math.Min(Length, other.Length));
        return (_network & shorter) == (other._network & shorter);
    }

    public override string ToString() => $"{FromNumber(_network)}/{Length.ToString(CultureInfo.InvariantCulture)}";

    internal static uint ToNumber(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[4];
        _ = address.TryWriteBytes(bytes, out _);
        return BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }

    private static IPAddress FromNumber(uint number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        return new IPAddress(bytes);
    }

    private static uint Mask(int length) => length == 0 ? 0 : uint.MaxValue << (32 - length);
}
