using BytePort.Server.Accounts;
using BytePort.Server.Database;
using NanoVms.Machines;

namespace BytePort.Server.Machines;

/// <summary>The computer's PCI devices. They are the platform's and no team's, so only its administrators may see and assign them.</summary>
internal static class PciEndpoints
{
    public const string OnlyAdministrators = "PCI devices are the computer's: only an administrator of the platform may see and assign them.";

    public static void MapPci(this IEndpointRouteBuilder group) =>
        group.MapGet("pci", ListAsync).WithName("listPciDevices").WithSummary("The computer's PCI devices, and which machine has each; for administrators")
            .Produces<PciList>().ProducesProblem(StatusCodes.Status403Forbidden);

    /// <exception cref="MachineFaultException">The caller is none.</exception>
    private static async Task RequireAdministratorAsync(Caller caller, PlatformDb db, CancellationToken cancellationToken)
    {
        if (!await db.IsAdministratorAsync(caller, cancellationToken))
            throw new MachineFaultException(MachineFault.Forbidden, OnlyAdministrators);
    }

    private static Task<IResult> ListAsync(Caller caller, PlatformDb db, MachineHost host, CancellationToken cancellationToken) => MachineEndpoints.AnswerAsync(async () =>
    {
        await RequireAdministratorAsync(caller, db, cancellationToken);
        return TypedResults.Ok(new PciList([.. host.GetPciDevices().Select(entry => new PciView(
            entry.Device.Address,
            entry.Device.Class,
            entry.Device.ClassName,
            entry.Device.Vendor,
            entry.Device.Device,
            entry.Device.Name,
            entry.Device.Driver,
            entry.Device.IommuGroup,
            entry.Machine))]));
    });

    internal sealed record PciList(IReadOnlyList<PciView> Items);

    /// <param name="Class">Base class, subclass and interface, six hexadecimal digits.</param>
    /// <param name="Name">Vendor and device by name; null where the computer does not know.</param>
    /// <param name="Driver">The driver that has it; null for none.</param>
    /// <param name="IommuGroup">What can only be assigned together; null without an IOMMU.</param>
    /// <param name="Machine">The machine that has it; null for none.</param>
    internal sealed record PciView(
        string Address, string Class, string ClassName, string Vendor, string Device, string? Name, string? Driver, int? IommuGroup, string? Machine);
}
