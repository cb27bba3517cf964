namespace NanoVms.Network;

/// <summary>This computer's end of a guest's network card, and what may come out of it.</summary>
/// <param name="Lease">Names it, and says which address the guest has.</param>
/// <param name="Bridge">That it is plugged into.</param>
internal sealed record BridgePort(GuestLease Lease, string Bridge)
{
    /// <summary>True keeps its frames from other ports: who is to be reached is reached by the computer.</summary>
    public bool IsIsolated { get; init; } = true;

    /// <summary>Whose guests it reaches by the computer; empty for nobody's.</summary>
    public string Group { get; init; } = "";

    /// <summary>Networks whose packets it brings as well, since its guest is a router. The computer sends theirs to it where it has an address beside it.</summary>
    public IReadOnlyList<Ipv4Prefix> Routed { get; init; } = [];

    /// <summary>Null for no limit.</summary>
    public RateLimits? Rate { get; init; }
}
