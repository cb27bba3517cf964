using BytePort.Manifest.Shapes;
using BytePort.Manifest.Toml;

namespace BytePort.Manifest.Hac;

/// <summary>Turns the tables of a <c>hac.toml</c> into the record.</summary>
internal static class HacSections
{
    private const string Spacecore = "spacecore";
    private const string Hardware = "hardware";
    private const int MaxDescription = 1000;
    private const int MaxPath = 4000;
    private const int MaxInterfaces = 8;
    private const int MaxCores = 64;
    private const string RefExpected = "a stack such as \"node@22\" or an image such as \"docker.io/library/alpine:3.20\"";

    private static readonly string[] Sections = [Spacecore, Hardware, HacExtras.Limits, HacExtras.Template];
    private static readonly string[] SpacecoreKeys = ["name", "description"];
    private static readonly string[] HardwareKeys = ["cores", "memory", "kernel", "drive", "ref", "os", "interface", "router", "driver", "machine", "persistent", "ports", "pci", "pci_kind", "nested_virtualization"];

    /// <returns>The file; what it holds counts only when <paramref name="errors"/> stayed empty.</returns>
    public static HacFile Read(TomlTable root, ErrorList errors)
    {
        HacKeys.RefuseUnknown(root, null, Sections, errors);
        var spacecore = HacKeys.Section(root, Spacecore, SpacecoreKeys, errors);
        var hardware = HacKeys.Section(root, Hardware, HardwareKeys, errors);
        var limits = HacKeys.Section(root, HacExtras.Limits, HacExtras.LimitKeys, errors);
        var template = HacKeys.Section(root, HacExtras.Template, HacExtras.TemplateKeys, errors);
        var defaults = new HacFile { Name = "" };
        var os = hardware.Optional("os", HacExtras.ReadOs);
        if (hardware.Has("os") && hardware.Has("ref"))
            errors.Add(hardware.Table!.Entries["os"].KeyLocation, "[hardware] has both \"ref\" and \"os\".", "Remove one of them: each says what the root is made of.");
        var interfaces = hardware.Optional("interface", ReadInterfaces) ?? defaults.Interfaces;
        return new()
        {
            Name = spacecore.Required("name", "It is the machine's name, such as \"web-1\".", ReadName) ?? "",
            Description = spacecore.Optional("description", ReadDescription),
            Cores = hardware.Optional<uint?>("cores", ReadCores) ?? defaults.Cores,
            MemoryMiB = hardware.Optional<int?>("memory", ReadMemory) ?? defaults.MemoryMiB,
            Kernel = hardware.Optional("kernel", ReadKernel) ?? defaults.Kernel,
            DriveBytes = hardware.Optional<long?>("drive", ReadDrive) ?? defaults.DriveBytes,
            Ref = hardware.Has("os") ? hardware.Optional("ref", ReadRef) : hardware.Required("ref", $"It is {RefExpected}; or write os = \"debian-12\".", ReadRef),
            Os = os,
            Interfaces = interfaces,
            Routes = hardware.Optional("router", value => ReadRoutes(value, interfaces)) ?? defaults.Routes,
            Driver = hardware.Optional("driver", HacExtras.ReadDriver) ?? defaults.Driver,
            MachineType = hardware.Optional("machine", HacExtras.ReadMachineType) ?? defaults.MachineType,
            IsPersistent = hardware.Optional<bool?>("persistent", HacExtras.ReadFlag) ?? false,
            Ports = hardware.Optional("ports", HacExtras.ReadPorts) ?? defaults.Ports,
            PciDevices = hardware.Optional("pci", HacExtras.ReadPciDevices) ?? defaults.PciDevices,
            PciKinds = hardware.Optional("pci_kind", HacExtras.ReadPciKinds) ?? defaults.PciKinds,
            NestedVirtualization = hardware.Optional<bool?>("nested_virtualization", HacExtras.ReadFlag) ?? false,
            Limits = HacExtras.ReadLimits(limits),
            Template = HacExtras.ReadTemplate(template),
        };
    }

    private static string? ReadName(HacValue value) =>
        value.Text is { Length: >= 1 and <= 60 } text && text.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character == '-')
            ? text
            : value.Refuse<string>("1 to 60 of a-z, 0-9 and -");

    private static string? ReadDescription(HacValue value) =>
        value.Text is { Length: <= MaxDescription } text && !text.Any(character => char.IsControl(character) && character is not ('\n' or '\r' or '\t'))
            ? text
            : value.Refuse<string>($"a text of at most {MaxDescription} characters");

    private static uint? ReadCores(HacValue value) =>
        value.Value is TomlInteger { Number: >= 1 and <= MaxCores } cores ? (uint)cores.Number : value.Refuse<uint?>($"a whole number from 1 to {MaxCores}");

    private static int? ReadMemory(HacValue value) =>
        HacSize.Parse(value.Value) is { } bytes && bytes is >= 64L << 20 and <= 1L << 40 && bytes % (1 << 20) == 0
            ? (int)(bytes >> 20)
            : value.Refuse<int?>("whole MiB from 64 (such as 512) to 1 TiB, or a size such as \"512M\" or \"2G\"");

    private static long? ReadDrive(HacValue value) =>
        HacSize.Parse(value.Value) is { } bytes && bytes is >= 16L << 20 and <= 16L << 40
            ? bytes
            : value.Refuse<long?>("MiB from 16 (such as 10240) to 16 TiB, or a size such as \"10G\"");

    private static string? ReadKernel(HacValue value) =>
        value.Text is { Length: <= MaxPath } text && (text == HacFile.DefaultKernel || IsPlainPath(text))
            ? text
            : value.Refuse<string>($"\"{HacFile.DefaultKernel}\" or an absolute path without . and .. in it");

    private static bool IsPlainPath(string text) =>
        text.StartsWith('/') && text.Length > 1 && !text.Any(char.IsControl) && text[1..].Split('/').All(part => part is not ("" or "." or ".."));

    private static ImageReference? ReadRef(HacValue value) =>
        (value.Text is { } text ? ImageReference.Parse(text) : null) ?? value.Refuse<ImageReference>(RefExpected);

    private static IReadOnlyList<string>? ReadRoutes(HacValue value, IReadOnlyList<string> interfaces)
    {
        if (ReadInterfaces(value) is not { } names)
            return null;
        foreach (var name in names.Where(name => !interfaces.Contains(name) || name == HacFile.DefaultInterface))
        {
            value.Errors.Add(
                value.Value.Location,
                name == HacFile.DefaultInterface ? $"{value.Path} names \"{name}\", whose router is the host." : $"{value.Path} names \"{name}\", which \"interface\" does not.",
                "Name networks of \"interface\" other than \"default\".");
        }

        if (names.Count > 0 && interfaces.Count < 2)
            value.Errors.Add(value.Value.Location, $"{value.Path} is set, and the machine has one network.", "A router passes packets on between networks: list two or more in \"interface\".");
        return names;
    }

    private static IReadOnlyList<string>? ReadInterfaces(HacValue value)
    {
        const string Expected = "a network's name, a list of up to 8 of them, or \"none\"";
        if (value.Value is TomlString { Text: "none" })
            return [];
        var items = value.Value is TomlArray array ? array.Items : [value.Value];
        if (items.Count > MaxInterfaces)
            return value.Refuse<IReadOnlyList<string>>(Expected);
        var names = new List<string>();
        foreach (var item in items.Select(item => value with { Value = item }))
        {
            if (item.Text is not { Length: >= 1 and <= 39 } name || !char.IsAsciiLetterLower(name[0])
                || !name.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character == '-'))
                _ = item.Refuse<string>("a network's name: 1 to 39 of a-z, 0-9 and -, a letter first");
            else if (name == "none")
                item.Errors.Add(item.Value.Location, $"{item.Path} lists \"none\" among networks.", "Write interface = \"none\" for a machine without a network.");
            else if (names.Contains(name))
                item.Errors.Add(item.Value.Location, $"{item.Path} lists \"{name}\" twice.", "Remove one of them.");
            else
                names.Add(name);
        }

        return names;
    }
}
