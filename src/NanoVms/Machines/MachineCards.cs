using System.Globalization;
using System.Net;
using NanoVms.Agent;
using NanoVms.Network;

namespace NanoVms.Machines;

/// <summary>A machine's network cards, <c>eth0</c> and on: both ends of each.</summary>
/// <param name="Key">Of those that reach each other by it; null for nobody.</param>
internal sealed record MachineCard(string Name, BridgePort Port, GuestNetwork Guest, string? Key)
{
    /// <summary>True in the network that all machines of the host share.</summary>
    public bool IsDefault => Port.IsIsolated;
}

/// <summary>Works out a machine's cards from its record; nothing else of them is kept.</summary>
internal static class MachineCards
{
    /// <summary>Takes places for a machine's cards in private networks; all or none.</summary>
    /// <exception cref="NetworkException">There is no such network, or no room in it.</exception>
    public static IReadOnlyList<CardRecord> Take(MachineSpec spec, PrivateNetworks networks)
    {
        var taken = new List<CardRecord>();
        try
        {
            foreach (var card in CardsOf(spec).Where(card => !card.IsDefault))
            {
                var (network, place) = networks.Take(spec.Owner, card.Network, card.IsRouter);
                taken.Add(new CardRecord(card.Network, network, place));
            }

            return taken;
        }
        catch
        {
            Release(taken, networks);
            throw;
        }
    }

    public static void Release(IEnumerable<CardRecord> cards, PrivateNetworks networks)
    {
        foreach (var card in cards)
            networks.Release(card.Network, card.Place);
    }

    public static bool HasDefault(MachineSpec spec) => CardsOf(spec).Any(card => card.IsDefault);

    /// <summary>True when the machine passes packets on.</summary>
    public static bool IsRouter(MachineSpec spec) => CardsOf(spec).Any(card => card.IsRouter);

    /// <summary>
    /// In the order of the specification. The way out is the default network, else the router of the first card's network; the name service
    /// is the same for all, so a machine behind a router asks by way of it.
    /// </summary>
    public static IReadOnlyList<MachineCard> Of(MachineRecord record, IHostNetwork network)
    {
        var spec = record.Spec;
        var (all, names) = (network.Networks.All, network.Prefix.At(1));
        var routed = record.Cards.Where(card => card.Place == PrivateNetwork.RouterPlace).Select(card => PrefixOf(card, all)).ToList();
        var hasDefault = HasDefault(spec);
        var cards = new List<MachineCard>();
        foreach (var card in CardsOf(spec))
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"eth{cards.Count}");
            if (card.IsDefault)
            {
                var port = network.PortAt(record.Place, spec.Group, spec.Rate) with { Routed = routed };
                cards.Add(new MachineCard(name, port, new GuestNetwork(port.Lease.Address, network.Prefix.Length, names, names, network.Mtu), spec.Group.Length == 0 ? null : $"group:{spec.Group}"));
                continue;
            }

            if (record.Cards.FirstOrDefault(kept => kept.Name == card.Network) is not { } place)
                continue;
            var own = network.PrivatePortAt(place.Network, place.Place, spec.Rate);
            var prefix = PrefixOf(place, all);
            IPAddress? gateway = hasDefault || cards.Count > 0 || card.IsRouter ? null : prefix.At(PrivateNetwork.RouterPlace);
            cards.Add(new MachineCard(
                name, own, new GuestNetwork(own.Lease.Address, prefix.Length, gateway, names, network.Mtu), string.Create(CultureInfo.InvariantCulture, $"network:{place.Network}")));
        }

        return cards;
    }

    private static IEnumerable<NetworkCard> CardsOf(MachineSpec spec) => (spec.Network, spec.Networks) switch
    {
        (NetworkMode.None, _) => [],
        (_, { Count: 0 }) => [new NetworkCard(NetworkCard.Default)],
        var (_, networks) => networks,
    };

    private static Ipv4Prefix PrefixOf(CardRecord card, Ipv4Prefix all) => new PrivateNetwork(card.Network, "", card.Name, default).PrefixIn(all);
}
