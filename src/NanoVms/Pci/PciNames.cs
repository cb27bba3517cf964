namespace NanoVms.Pci;

/// <summary>Names of classes, vendors and devices: the file <c>pci.ids</c> of the PCI ID project where the computer has it, and the base classes of the specification.</summary>
internal sealed class PciNames
{
    /// <summary>Where Debian's <c>pci.ids</c> and others' packages have it.</summary>
    private static readonly string[] Places = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"];

    private const long MaxBytes = 16 << 20;

    /// <summary>PCI Code and ID Assignment Specification, base classes and the subclasses that people look for.</summary>
    private static readonly Dictionary<string, string> Classes = new()
    {
        ["00"] = "Unclassified device",
        ["01"] = "Mass storage controller",
        ["0106"] = "SATA controller",
        ["0108"] = "Non-volatile memory controller",
        ["02"] = "Network controller",
        ["0200"] = "Ethernet controller",
        ["03"] = "Display controller",
        ["0300"] = "VGA compatible controller",
        ["0302"] = "3D controller",
        ["04"] = "Multimedia controller",
        ["0403"] = "Audio device",
        ["05"] = "Memory controller",
        ["06"] = "Bridge",
        ["0600"] = "Host bridge",
        ["0601"] = "ISA bridge",
        ["0604"] = "PCI bridge",
        ["07"] = "Communication controller",
        ["08"] = "Generic system peripheral",
        ["09"] = "Input device controller",
        ["0a"] = "Docking station",
        ["0b"] = "Processor",
        ["0c"] = "Serial bus controller",
        ["0c03"] = "USB controller",
        ["0c05"] = "SMBus",
        ["0d"] = "Wireless controller",
        ["0e"] = "Intelligent controller",
        ["0f"] = "Satellite communications controller",
        ["10"] = "Encryption controller",
        ["11"] = "Signal processing controller",
        ["12"] = "Processing accelerators",
        ["13"] = "Non-Essential Instrumentation",
        ["ff"] = "Unassigned class",
    };

    private readonly Dictionary<string, string> _names = [];

    /// <summary>Those of the computer's file; without one only classes have names.</summary>
    public static PciNames OfThisComputer()
    {
        var names = new PciNames();
        foreach (var place in Places.Where(File.Exists))
        {
            try
            {
                using var reader = new StreamReader(place);
                if (reader.BaseStream.Length <= MaxBytes)
                    names.Read(reader);
                break;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Names are a help, and nothing rests on them.
            }
        }

        return names;
    }

    /// <summary>Reads the file's lines: <c>VVVV  vendor</c>, a tab and <c>DDDD  device</c>, <c>C CC  class</c>, a tab and <c>SS  subclass</c>.</summary>
    public void Read(TextReader reader)
    {
        var above = "";
        while (reader.ReadLine() is { } line)
        {
            if (line.Length == 0 || line[0] == '#' || line.StartsWith("\t\t", StringComparison.Ordinal))
                continue;
            var isBelow = line[0] == '\t';
            var text = line.Trim();
            var gap = text.IndexOf("  ", StringComparison.Ordinal);
            if (gap < 0)
                continue;
            var (key, name) = (text[..gap], text[gap..].Trim());
            if (!isBelow)
                above = key;
            _names[isBelow ? $"{above}/{key}" : key] = name;
        }
    }

    /// <param name="classCode">Six hexadecimal digits.</param>
    public string ClassOf(string classCode) =>
        _names.GetValueOrDefault($"C {classCode[..2]}/{classCode[2..4]}")
        ?? Classes.GetValueOrDefault(classCode[..4])
        ?? _names.GetValueOrDefault($"C {classCode[..2]}")
        ?? Classes.GetValueOrDefault(classCode[..2])
        ?? $"Class {classCode[..4]}";

    public string? NameOf(string vendor, string device) => _names.GetValueOrDefault(vendor) is { } maker
        ? _names.GetValueOrDefault($"{vendor}/{device}") is { } name ? $"{maker} {name}" : maker
        : null;
}
