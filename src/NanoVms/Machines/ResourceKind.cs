namespace NanoVms.Machines;

/// <summary>What a process can be limited in, by Linux's numbers (getrlimit(2)).</summary>
public enum ResourceKind
{
    /// <summary>Seconds of processor time.</summary>
    CpuTime = 0,

    /// <summary>Bytes of a file that it writes.</summary>
    FileSize = 1,

    /// <summary>Bytes of its data.</summary>
    Data = 2,

    /// <summary>Bytes of its stack.</summary>
    Stack = 3,

    /// <summary>Bytes of a memory dump; 0 for none.</summary>
    Core = 4,

    /// <summary>Processes and threads of its user.</summary>
    Processes = 6,

    /// <summary>Open files.</summary>
    OpenFiles = 7,

    /// <summary>Bytes kept from being paged out.</summary>
    LockedMemory = 8,

    /// <summary>Bytes of its address space.</summary>
    AddressSpace = 9,
}
