using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>What the agent says of itself and its guest when a host connects. Written by the guest: show it, do not trust it.</summary>
/// <param name="Version">The agent's version.</param>
/// <param name="KernelRelease">As <c>uname -r</c> prints it.</param>
/// <param name="BootId">Differs at each boot.</param>
/// <param name="Uptime">Since the guest's kernel started.</param>
/// <param name="IsConfigured">True once <see cref="GuestConfig"/> was applied in this boot.</param>
/// <param name="Main">Whether the main process was started, runs, or ended.</param>
/// <param name="MainExit">How it ended; null unless <paramref name="Main"/> is <see cref="MainState.Exited"/>.</param>
public sealed record AgentInfo(
    string Version, string KernelRelease, Guid BootId, TimeSpan Uptime, bool IsConfigured, MainState Main, ProcessExit? MainExit)
{
    /// <summary>The version of the protocol that this connection speaks. A machine keeps its agent when the host is upgraded.</summary>
    public int Protocol { get; init; } = 1;
}
