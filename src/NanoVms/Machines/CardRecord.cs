namespace NanoVms.Machines;

/// <summary>A card in a private network, as the state file keeps it: all else follows from the places.</summary>
/// <param name="Name">The network's.</param>
/// <param name="Network">The network's place among the host's.</param>
/// <param name="Place">The card's in the network.</param>
internal sealed record CardRecord(string Name, int Network, int Place);
