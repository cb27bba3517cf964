using System.Runtime.InteropServices;
using NanoVms.Commands;

namespace NanoVms.Drivers.Isolation;

/// <summary>Shuts hypervisors in, by the means that this process has.</summary>
internal interface IJail
{
    /// <summary>Why it cannot be done here and what to do about it; null when it can.</summary>
    Task<string?> FindFaultAsync(CancellationToken cancellationToken);

    /// <summary>Starts a process, which outlives this one, that sees of the computer what the plan says and what it is handed.</summary>
    /// <param name="command">What the process becomes; its program is among the plan's files.</param>
    /// <param name="user">Who it is to be, with one further group, where that can be chosen.</param>
    /// <param name="connect">Called with the process when it is shut in and before it runs, where it is to be given its network then.</param>
    /// <exception cref="CommandException">It cannot be started; also when the computer has no such namespaces.</exception>
    Task<ProcessIdentity> StartAsync(
        JailPlan plan, Command command, (uint Id, uint? Group) user, IReadOnlyList<SafeHandle> handles, SafeHandle error, Func<ProcessIdentity, Task> connect);

    /// <summary>Takes everything away that the process needed to start only, as far as that is possible.</summary>
    /// <exception cref="IOException">The process is gone, or the kernel refuses.</exception>
    Task StripAsync(ProcessIdentity process);
}
