namespace NanoVms.Network;

/// <summary>A guest of the bridge as it was kept.</summary>
/// <param name="Place">In the prefix.</param>
/// <param name="Group">Whose guests it reaches; empty for nobody's.</param>
/// <param name="Ports">Of the computer that lead to it.</param>
internal sealed record BridgeGuest(int Place, string Group, IReadOnlyList<PortMapping> Ports);
