namespace NanoVms.Machines;

/// <summary>What a machine is doing now, as the host last saw it.</summary>
public enum MachineState
{
    /// <summary>Its folder exists; it has not reached its main process yet.</summary>
    Created,

    /// <summary>Its processors run and the agent took the configuration.</summary>
    Running,

    /// <summary>Its processors are halted; memory is kept.</summary>
    Paused,

    /// <summary>It sleeps: saved with all that it was, it takes no memory and no processor, and goes on when it is woken.</summary>
    Snapshotted,

    /// <summary>It ended as asked, or its main process ended.</summary>
    Stopped,

    /// <summary>It died: the reason is in <see cref="Machine.FailureReason"/>.</summary>
    Failed,
}
