namespace NanoVms.Pci;

/// <summary>Names kinds of devices: by a name, a class of two or four hexadecimal digits, or <c>vendor:device</c>.</summary>
internal static class PciKind
{
    private static readonly Dictionary<string, string> Names = new()
    {
        ["display"] = "03",
        ["vga"] = "0300",
        ["network"] = "02",
        ["ethernet"] = "0200",
        ["storage"] = "01",
        ["nvme"] = "0108",
        ["audio"] = "0403",
        ["usb"] = "0c03",
        ["accelerator"] = "12",
    };

    public static string All => string.Join(", ", Names.Keys);

    public static bool IsKind(string text) =>
        Names.ContainsKey(text) || ((text.Length is 2 or 4 || (text.Length == 9 && text[4] == ':')) && text.Replace(":", "", StringComparison.Ordinal).All(char.IsAsciiHexDigitLower));

    public static bool Matches(string kind, PciDevice device) => kind.Contains(':', StringComparison.Ordinal)
        ? $"{device.Vendor}:{device.Device}" == kind
        : device.Class.StartsWith(Names.GetValueOrDefault(kind, kind), StringComparison.Ordinal);
}
