using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>A process that the agent keeps by name. Written by the guest: show it, do not trust it.</summary>
/// <param name="Name"><c>main</c> for the main process.</param>
/// <param name="ProcessId">In the guest; 0 unless it runs.</param>
/// <param name="OutputBytes">How much it has written so far.</param>
/// <param name="Exit">How it ended; null unless <paramref name="State"/> is <see cref="MainState.Exited"/>.</param>
public sealed record ServiceInfo(string Name, MainState State, int ProcessId, bool HasTerminal, long OutputBytes, ProcessExit? Exit);
