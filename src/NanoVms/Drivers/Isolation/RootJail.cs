using System.Runtime.InteropServices;
using NanoVms.Commands;

namespace NanoVms.Drivers.Isolation;

/// <summary>As root: each process is a user of its own, and its root is empty once it has started.</summary>
internal sealed class RootJail : IJail
{
    public Task<string?> FindFaultAsync(CancellationToken cancellationToken) => Task.FromResult<string?>(null);

    public Task<ProcessIdentity> StartAsync(
        JailPlan plan, Command command, (uint Id, uint? Group) user, IReadOnlyList<SafeHandle> handles, SafeHandle error, Func<ProcessIdentity, Task> connect)
    {
        var wrapped = Jail.Wrap(command, user.Id, user.Group);
        // A device reads and writes the guest's memory by itself, so the kernel locks all of it.
        return Jail.StartAsync(plan, plan.LockedBytes is { } bytes ? Unprivileged.WithLockedMemory(wrapped, bytes) : wrapped, handles, error);
    }

    public Task StripAsync(ProcessIdentity process) => Jail.StripAsync(process);
}
