namespace NanoVms.Pci;

/// <summary>A device that a machine has, kept with the machine so that it goes back whatever happens.</summary>
/// <param name="Driver">The driver that had it before; null for none.</param>
/// <param name="IommuGroup">Its group.</param>
internal sealed record PciLoan(string Address, string? Driver, int IommuGroup);
