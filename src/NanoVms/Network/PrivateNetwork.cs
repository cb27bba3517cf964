using System.Globalization;

namespace NanoVms.Network;

/// <summary>A network of an owner's own: a segment that only machines with a card in it see. Out of it leads its router, if it has one.</summary>
/// <param name="Index">Its place among the host's, from which its addresses and its bridge follow.</param>
/// <param name="Owner">As <see cref="Machines.MachineSpec.Owner"/>.</param>
/// <param name="Name">1 to 39 of <c>a-z 0-9 -</c>; once for each owner.</param>
public sealed record PrivateNetwork(int Index, string Owner, string Name, DateTimeOffset CreatedAt)
{
    /// <summary>Place of the router's address, whether there is one or not.</summary>
    internal const int RouterPlace = 1;

    /// <summary>Of each network.</summary>
    internal const int PrefixLength = 24;
    internal const int Places = 1 << (32 - PrefixLength);

    internal Ipv4Prefix PrefixIn(Ipv4Prefix all) =>
        Ipv4Prefix.Parse($"{all.At((long)Index * Places)}/{PrefixLength.ToString(CultureInfo.InvariantCulture)}");
}
