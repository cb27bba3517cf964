using NanoVms.Agent;
using NanoVms.Agent.Protocol;
using NanoVms.Network;

namespace NanoVms.Machines;

/// <summary>The names that machines of a group have for each other. Follows the machines as they come and go. Thread safe.</summary>
internal sealed class GroupNames
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Dictionary<string, MachineLife>> _groups = [];

    /// <summary>Adds a machine, which from now on is woken when names of its group change.</summary>
    public void Join(MachineLife life)
    {
        if (!HasGroup(life.Record.Spec))
            return;
        lock (_gate)
        {
            if (!_groups.TryGetValue(life.Record.Spec.Group, out var members))
                _groups[life.Record.Spec.Group] = members = [];
            members[life.Record.Id] = life;
        }

        Wake(life.Record.Spec.Group);
    }

    /// <summary>Takes a machine out; no harm when it is not in.</summary>
    public void Leave(MachineLife life)
    {
        var group = life.Record.Spec.Group;
        lock (_gate)
        {
            if (!_groups.TryGetValue(group, out var members) || !members.Remove(life.Record.Id))
                return;
            if (members.Count == 0)
                _ = _groups.Remove(group);
        }

        if (life.Record.Spec.GroupName is not null)
            Wake(group);
    }

    /// <summary>Lets all machines of a group look again.</summary>
    public void Wake(string group)
    {
        foreach (var life in MembersOf(group))
            life.Names.Wake();
    }

    /// <summary>What a machine resolves, in an order of its own, so that not all of a group turn to the same one first.</summary>
    public IReadOnlyList<GuestName> For(MachineRecord record)
    {
        if (!HasGroup(record.Spec))
            return [];
        var named = MembersOf(record.Spec.Group)
            .Where(life => life.Record.Spec.GroupName is not null && life.IsAnnounced)
            .OrderBy(life => life.Record.Place < record.Place)
            .ThenBy(life => life.Record.Place);
        return [.. named.Take(Wire.MaxNames).Select(life => new GuestName($"{life.Record.Spec.GroupName}.{NameService.PrivateDomain}", life.Lease.Address))];
    }

    private static bool HasGroup(MachineSpec spec) => spec.Group.Length > 0 && spec.Network == NetworkMode.Nat;

    private List<MachineLife> MembersOf(string group)
    {
        lock (_gate)
            return _groups.TryGetValue(group, out var members) ? [.. members.Values] : [];
    }
}
