using System.Globalization;
using NanoVms.Network;

namespace NanoVms.Drivers.Container;

/// <summary>
/// The users of one container as the computer knows them: a range of their own, so that what breaks out of one can touch neither
/// the computer nor another container of the host.
/// </summary>
/// <param name="First">What the container's root is outside.</param>
/// <remarks>
/// The ranges lie where systemd documents those of containers (524288 to 1879048191) and follow from the guest's address, 16384 numbers
/// for each of 65536. Inside they are 0 to 16127, where distributions and images have their users, and 65280 to 65535, where <c>nobody</c> is.
/// </remarks>
internal readonly record struct ContainerUsers(uint First)
{
    private const uint Base = 524_288;
    private const uint Size = 16_384;
    private const uint HighSize = 256;
    private const uint HighStart = 65_536 - HighSize;
    private const uint LowSize = Size - HighSize;

    public static ContainerUsers Of(GuestLease lease) => new(Base + ((Ipv4Prefix.ToNumber(lease.Address) & 0xffff) * Size));

    /// <summary>As <c>/proc/PID/uid_map</c> and <c>gid_map</c> take it.</summary>
    public string Map => string.Create(CultureInfo.InvariantCulture, $"0 {First} {LowSize}\n{HighStart} {First + LowSize} {HighSize}\n");
}
