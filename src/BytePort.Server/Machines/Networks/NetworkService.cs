using BytePort.Manifest.Hac;
using NanoVms.Machines;
using NanoVms.Network;

namespace BytePort.Server.Machines.Networks;

/// <summary>A team's private networks: segments that only its machines by themselves have cards in.</summary>
internal sealed class NetworkService(MachineHost host)
{
    /// <summary>The most that a team may have.</summary>
    public const int MaxPerTeam = 16;

    /// <summary>Those that are words of hac.toml.</summary>
    private static readonly string[] Reserved = [HacFile.DefaultInterface, "none"];

    /// <summary>By name.</summary>
    public IReadOnlyList<NetworkView> List(Guid team) =>
        [.. host.Networks.Where(network => network.Owner == MachineService.OwnerOf(team)).OrderBy(network => network.Name, StringComparer.Ordinal).Select(View)];

    /// <exception cref="MachineFaultException">The team has no such network.</exception>
    public NetworkView Get(Guid team, string name) => List(team).FirstOrDefault(network => network.Name == name) ?? throw NotFound(name);

    /// <exception cref="MachineFaultException">The name is wrong or there, or the team or the host has no room.</exception>
    public async Task<NetworkView> CreateAsync(Guid team, string name, CancellationToken cancellationToken)
    {
        if (name.Length is 0 or > 39 || !char.IsAsciiLetterLower(name[0]) || !name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-') || Reserved.Contains(name))
            throw new MachineFaultException(MachineFault.Invalid, $"The network's name '{Shorten(name)}' is not 1 to 39 of a-z, 0-9 and '-', a letter first, and neither of {string.Join(" and ", Reserved)}.");
        var all = List(team);
        if (all.Any(network => network.Name == name))
            throw new MachineFaultException(MachineFault.WrongState, $"Your team has a network '{name}' already.");
        if (all.Count >= MaxPerTeam)
            throw new MachineFaultException(MachineFault.Exhausted, $"Your team has {MaxPerTeam} networks, the most it may have. Remove one with: byteport network rm NAME");
        try
        {
            return View(await host.CreateNetworkAsync(MachineService.OwnerOf(team), name, MaxPerTeam, cancellationToken));
        }
        catch (NetworkException e)
        {
            throw new MachineFaultException(MachineFault.Exhausted, e.Message, e);
        }
    }

    /// <exception cref="MachineFaultException">The team has no such network, or machines are in it.</exception>
    public async Task RemoveAsync(Guid team, string name, CancellationToken cancellationToken)
    {
        _ = Get(team, name);
        try
        {
            await host.RemoveNetworkAsync(MachineService.OwnerOf(team), name, cancellationToken);
        }
        catch (NetworkException e)
        {
            throw new MachineFaultException(MachineFault.WrongState, e.Message, e);
        }
    }

    private NetworkView View(PrivateNetwork network)
    {
        var machines = host.Machines.Where(machine => machine.Spec.Owner == network.Owner && machine.Spec.Networks.Any(card => card.Network == network.Name)).ToList();
        var router = machines.FirstOrDefault(machine => machine.Spec.Networks.Any(card => card.Network == network.Name && card.IsRouter));
        return new NetworkView(network.Name, host.PrefixOf(network).ToString(), network.CreatedAt, router?.Id, [.. machines.Select(machine => machine.Id).Order(StringComparer.Ordinal)]);
    }

    private static MachineFaultException NotFound(string name) => new(MachineFault.NotFound, $"There is no network '{Shorten(name)}' in your team.");

    private static string Shorten(string name) => name.Length <= 40 ? name : $"{name[..40]}…";
}
