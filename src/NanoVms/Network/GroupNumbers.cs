namespace NanoVms.Network;

/// <summary>Numbers for groups of guests, by which the rules know them. Not kept: the rules are written anew by whoever numbers anew. Thread safe.</summary>
internal sealed class GroupNumbers
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, uint> _numbers = [];

    /// <summary>From 1; 0 for no group.</summary>
    public uint Of(string group)
    {
        if (group.Length == 0)
            return 0;
        lock (_gate)
        {
            if (!_numbers.TryGetValue(group, out var number))
                _numbers[group] = number = (uint)_numbers.Count + 1;
            return number;
        }
    }
}
