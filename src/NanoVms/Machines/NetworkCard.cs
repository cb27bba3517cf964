namespace NanoVms.Machines;

/// <summary>A network that a machine has a card in.</summary>
/// <param name="Network"><see cref="Default"/>, or the name of one of the owner's private networks.</param>
/// <param name="IsRouter">
/// Only of a private network: the machine passes packets on between its networks, and is the way out for all others in this one. One machine
/// of a network can be that.
/// </param>
public sealed record NetworkCard(string Network, bool IsRouter = false)
{
    /// <summary>The network that all machines of the host share, out to the internet by masquerade.</summary>
    public const string Default = "default";

    internal bool IsDefault => Network == Default;
}
