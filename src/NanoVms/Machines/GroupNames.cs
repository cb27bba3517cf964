using NanoVms.Agent;
using NanoVms.Agent.Protocol;
using NanoVms.Network;

namespace NanoVms.Machines;

/// <summary>The names that machines of a group or a private network have for each other. Follows the machines as they come and go. Thread safe.</summary>
internal sealed class GroupNames
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Dictionary<string, MachineLife>> _groups = [];

    /// <summary>Adds a machine, which from now on is woken when names that it knows change.</summary>
    public void Join(MachineLife life)
    {
        lock (_gate)
        {
            foreach (var key in KeysOf(life))
            {
                if (!_groups.TryGetValue(key, out var members))
                    _groups[key] = members = [];
                members[life.Record.Id] = life;
            }
        }

        Wake(life);
    }

    /// <summary>Takes a machine out; no harm when it is not in.</summary>
    public void Leave(MachineLife life)
    {
        lock (_gate)
        {
            foreach (var key in KeysOf(life))
            {
                if (_groups.TryGetValue(key, out var members) && members.Remove(life.Record.Id) && members.Count == 0)
                    _ = _groups.Remove(key);
            }
        }

        if (life.Record.Spec.GroupName is not null)
            Wake(life);
    }

    /// <summary>Lets all machines look again that may know a machine.</summary>
    public void Wake(MachineLife life)
    {
        foreach (var other in KeysOf(life).SelectMany(MembersOf).Distinct())
            other.Names.Wake();
    }

    /// <summary>What a machine resolves, in an order of its own, so that not all of a group turn to the same one first.</summary>
    public IReadOnlyList<GuestName> For(MachineRecord record, IEnumerable<MachineCard> cards)
    {
        var named = cards.Select(card => card.Key).OfType<string>().SelectMany(key => MembersOf(key)
            .Where(life => life.Record.Spec.GroupName is not null && life.Names.IsAnnounced)
            .OrderBy(life => life.Record.Place < record.Place)
            .ThenBy(life => life.Record.Place)
            .Select(life => new GuestName($"{life.Record.Spec.GroupName}.{NameService.PrivateDomain}", life.Cards.First(card => card.Key == key).Guest.Address)));
        return [.. named.Take(Wire.MaxNames)];
    }

    private static IEnumerable<string> KeysOf(MachineLife life) => life.Cards.Select(card => card.Key).OfType<string>();

    private List<MachineLife> MembersOf(string key)
    {
        lock (_gate)
            return _groups.TryGetValue(key, out var members) ? [.. members.Values] : [];
    }
}
