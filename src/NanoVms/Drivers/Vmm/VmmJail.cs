using System.Runtime.InteropServices;
using NanoVms.Commands;
using NanoVms.Drivers.Isolation;

namespace NanoVms.Drivers.Vmm;

/// <summary>
/// Shuts a hypervisor in that takes files by their paths: like QEMU it has namespaces of its own and no rights, and once its machine runs
/// a root with nothing in it but its working folder.
/// </summary>
internal static class VmmJail
{
    /// <param name="command">The program by its path.</param>
    /// <param name="needs">What the program reads beside libraries while it starts.</param>
    /// <param name="tapUser">See <see cref="JailPlan.TapUser"/>.</param>
    /// <exception cref="CommandException">It cannot be started.</exception>
    public static async Task<ProcessIdentity> StartAsync(
        RunFolder folder, Command command, IReadOnlyList<string> needs, uint user, uint? group, uint? tapUser, IReadOnlyList<SafeHandle> handles, ErrorTail errors)
    {
        var plan = new JailPlan([ProgramLocator.Require("setpriv"), ProgramLocator.Require("unshare"), command.Program, .. needs], ["/dev/kvm"], folder.Path)
        {
            Places = folder.Places,
            TapUser = tapUser,
        };
        try
        {
            return await Jail.StartAsync(plan, Jail.Wrap(command, user, group), handles, errors.ProgramsEnd);
        }
        finally
        {
            errors.CloseProgramsEnd();
        }
    }

    /// <summary>The same by a program that makes the root by itself, drops its rights and becomes the hypervisor.</summary>
    /// <param name="folder">What it makes the root of.</param>
    /// <exception cref="CommandException">It cannot be started.</exception>
    public static async Task<ProcessIdentity> StartJailerAsync(RunFolder folder, Command command, ErrorTail errors)
    {
        try
        {
            return await Jail.StartAsync(new JailPlan([], [], folder.Path) { Places = folder.Places, HasOwnRoot = true }, command, [], errors.ProgramsEnd);
        }
        finally
        {
            errors.CloseProgramsEnd();
        }
    }

    /// <summary>Takes away what a hypervisor has opened by now. Again is no harm.</summary>
    /// <param name="runFolder">Where its sockets and snapshots are; it keeps that.</param>
    /// <exception cref="HypervisorException">The kernel refuses.</exception>
    public static async Task StripAsync(ProcessIdentity process, string runFolder)
    {
        try
        {
            await Jail.StripAsync(process, runFolder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (process.IsAlive)
                throw new HypervisorException(e.Message, e);
        }
    }
}
