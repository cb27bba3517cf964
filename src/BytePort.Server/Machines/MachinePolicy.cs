using BytePort.Server.Accounts;
using BytePort.Server.Database;
using BytePort.Server.Hosting;

namespace BytePort.Server.Machines;

/// <summary>What of a request is not for everybody, because it lets a machine nearer to the computer.</summary>
internal static class MachinePolicy
{
    /// <exception cref="MachineFaultException">Only an administrator of the platform may ask for that here.</exception>
    public static async Task CheckAsync(MachineRequest request, Caller caller, PlatformDb db, ServerOptions options, CancellationToken cancellationToken)
    {
        if (FindForbidden(request, options) is { } forbidden && !await db.IsAdministratorAsync(caller, cancellationToken))
            throw new MachineFaultException(MachineFault.Forbidden, forbidden);
    }

    private static string? FindForbidden(MachineRequest request, ServerOptions options)
    {
        if (request.PciDevices.Count + request.PciKinds.Count > 0)
            return PciEndpoints.OnlyAdministrators;
        if (request.Driver == "container" && !options.ContainersForAll)
            return "Containers share the computer's kernel: only an administrator of the platform may start them here. Leave the driver out, or ask the operator for BYTEPORT_CONTAINERS=all.";
        // Under KVM the computer's kernel emulates the guest's virtualization instructions: code that no other guest reaches.
        if (request.NestedVirtualization && !options.NestedForAll)
            return "Nested virtualization opens more of the computer's kernel to the guest: only an administrator of the platform may ask for it here. Leave nested_virtualization out, or ask the operator for BYTEPORT_NESTED_VIRTUALIZATION=all.";
        return null;
    }
}
