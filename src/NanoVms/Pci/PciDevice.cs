namespace NanoVms.Pci;

/// <summary>A PCI device of the computer.</summary>
/// <param name="Address">Domain, bus, device and function, such as <c>0000:01:00.0</c>.</param>
/// <param name="Class">Base class, subclass and programming interface: six hexadecimal digits.</param>
/// <param name="ClassName">What the class is called, from <c>pci.ids</c> where the computer has it.</param>
/// <param name="Vendor">Four hexadecimal digits, as <paramref name="Device"/>.</param>
/// <param name="Name">Vendor and device as <c>pci.ids</c> calls them; null where the computer has none.</param>
/// <param name="Driver">The computer's driver that has it; null for none.</param>
/// <param name="IommuGroup">What can only be assigned together; null where the computer has no IOMMU, or it is off.</param>
public sealed record PciDevice(
    string Address, string Class, string ClassName, string Vendor, string Device, string? Name, string? Driver, int? IommuGroup)
{
    /// <summary>Bridges hold the bus together and are nobody's to give away.</summary>
    public bool IsBridge => Class.StartsWith("06", StringComparison.Ordinal);
}
