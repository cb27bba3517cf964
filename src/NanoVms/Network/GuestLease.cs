using System.Globalization;
using System.Net;

namespace NanoVms.Network;

/// <summary>
/// What one guest is on the network. All of it follows from the bridge's name and the guest's place in the prefix,
/// so that nothing but the place has to be kept.
/// </summary>
/// <param name="Index">Place in the prefix: 2 is the first guest, 1 the bridge.</param>
/// <param name="Mac">Locally administered, <c>02:</c> + <c>42:</c> + the address.</param>
/// <param name="Tap">The host's end of the guest's cable.</param>
/// <param name="UserId">
/// Account that the guest's hypervisor runs as; no two machines share one, so that one that breaks out cannot touch another.
/// The range is one that systemd documents as free for such use (1879048192 to 2147483647).
/// </param>
internal sealed record GuestLease(int Index, IPAddress Address, string Mac, string Tap, uint UserId)
{
    private const uint FirstUserId = 1_900_000_000;

    public static GuestLease Create(string tapPrefix, Ipv4Prefix prefix, int index)
    {
        var address = prefix.At(index);
        return new GuestLease(index, address, MacOf(address), TapName(tapPrefix, index), UserIdOf(address));
    }

    public static uint UserIdOf(IPAddress address) => FirstUserId + (Ipv4Prefix.ToNumber(address) & 0xffffff);

    public static string TapName(string tapPrefix, int index) => tapPrefix + index.ToString("x4", CultureInfo.InvariantCulture);

    public static string MacOf(IPAddress address) =>
        "02:42:" + string.Join(':', address.GetAddressBytes().Select(b => b.ToString("x2", CultureInfo.InvariantCulture)));
}
