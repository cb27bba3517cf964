using NanoVms.Commands;
using NanoVms.Machines;

namespace NanoVms.Drivers;

/// <summary>One way to run machines. An instance serves all machines of a host; thread safe.</summary>
internal interface IMachineDriver
{
    /// <summary>As in <see cref="MachineSpec.Driver"/>; kept with each machine.</summary>
    string Name { get; }

    DriverCapabilities Capabilities { get; }

    /// <summary>Whether it works on this computer. Found out once; the first answer may take two seconds.</summary>
    Task<DriverStatus> GetStatusAsync(CancellationToken cancellationToken);

    /// <summary>What this driver cannot do of a specification: sentences that name value and limit.</summary>
    IEnumerable<string> FindErrors(MachineSpec spec);

    /// <summary>How the guest's agent finds the machine's disks.</summary>
    MachineDevices Devices(MachineSpec spec);

    /// <summary>The most memory in bytes that the machine's processes may use together.</summary>
    long MemoryLimit(MachineSpec spec, bool accelerated);

    /// <summary>
    /// How an argument begins that only processes of this host's machines have; null when they are found in another way. Ends such
    /// that one host's mark is never the beginning of another's.
    /// </summary>
    string? ProcessMark(string hostId);

    /// <summary>
    /// Starts the process, which outlives this one, and hands it its files. That it runs does not say that it likes its arguments:
    /// connect to it.
    /// </summary>
    /// <param name="errors">Receives what it complains about.</param>
    /// <exception cref="CommandException">It cannot be started.</exception>
    Task<ProcessIdentity> LaunchAsync(MachinePlan plan, ErrorTail errors, CancellationToken cancellationToken);

    /// <summary>The process as it can be talked to; not connected yet. For machines started here, and for those found after a restart.</summary>
    /// <param name="folder">The machine's.</param>
    IHypervisor Attach(string folder, MachineRecord record, ProcessIdentity process);

    /// <summary>Takes away what a machine left outside its folder and its processes, in whatever state. Most leave nothing.</summary>
    Task RemoveAsync(string folder, MachineRecord record, CancellationToken cancellationToken) => Task.CompletedTask;
}
