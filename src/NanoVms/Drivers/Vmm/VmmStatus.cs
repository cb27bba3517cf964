using NanoVms.Commands;
using NanoVms.Drivers.Qemu;
using NanoVms.Machines;

namespace NanoVms.Drivers.Vmm;

/// <summary>Whether a hypervisor that works with KVM alone can be used here.</summary>
/// <param name="Driver">The driver's name.</param>
/// <param name="Title">The hypervisor's name.</param>
/// <param name="Releases">Where its program is to be had.</param>
/// <param name="Oldest">The first version that works.</param>
internal sealed record VmmStatus(string Driver, string Title, string Releases, Version Oldest)
{
    /// <param name="program">Name or path.</param>
    public async Task<DriverStatus> FindAsync(string program, Func<CancellationToken, Task<KvmAnswer>> probe, CancellationToken cancellationToken)
    {
        if (ProgramLocator.Find(program) is not { } path)
            return Unusable($"There is no '{program}' in the search path. Put the program of a release of {Releases} into /usr/local/bin.");
        try
        {
            var version = await VmmVersion.FindAsync(path, cancellationToken);
            if (version is null || version < Oldest)
                return Unusable($"{path} is version {version?.ToString() ?? "unknown"}; {Oldest} is the first that works here.");
            var kvm = await probe(cancellationToken);
            return kvm.IsUsable
                ? new DriverStatus(Driver, true, true, $"{Title} {version}. {kvm.Reason}")
                : Unusable($"{Title} {version} needs KVM. {kvm.Reason}");
        }
        catch (CommandException e)
        {
            return Unusable(e.Message);
        }
    }

    private DriverStatus Unusable(string reason) => new(Driver, false, false, reason);
}
