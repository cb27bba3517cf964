namespace BytePort.Server.Machines;

/// <summary>Why a machine cannot be had or reached.</summary>
internal enum MachineFault
{
    /// <summary>The request itself is wrong.</summary>
    Invalid = 1,

    /// <summary>The team has no such machine.</summary>
    NotFound,

    /// <summary>Only an administrator of the platform may.</summary>
    Forbidden,

    /// <summary>This platform cannot do it.</summary>
    Unsupported,

    /// <summary>The team or the host has as many as it may.</summary>
    Exhausted,

    /// <summary>The machine's state does not allow it: it has ended, or it is paused.</summary>
    WrongState,

    /// <summary>It failed, and may succeed when it is tried again.</summary>
    Unavailable,

    /// <summary>It failed.</summary>
    Failed,
}

/// <summary>A machine cannot be had or reached; the message is for whoever asked.</summary>
internal sealed class MachineFaultException(MachineFault fault, string message, Exception? inner = null) : Exception(message, inner)
{
    public MachineFault Fault { get; } = fault;

    public bool IsTransient => Fault is MachineFault.Unavailable;
}
