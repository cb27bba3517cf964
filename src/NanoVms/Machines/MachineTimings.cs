namespace NanoVms.Machines;

/// <summary>How long a machine took to start, each measured from the call of <see cref="MachineHost"/>'s start.</summary>
/// <param name="ProcessStart">Until the hypervisor's process ran.</param>
/// <param name="AgentReady">Until the guest's agent answered.</param>
/// <param name="MainStarted">Until the main process was started; equals <paramref name="AgentReady"/> plus configuration when there is none.</param>
public sealed record MachineTimings(TimeSpan ProcessStart, TimeSpan AgentReady, TimeSpan MainStarted);
