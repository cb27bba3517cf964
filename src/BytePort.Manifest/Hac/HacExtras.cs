using System.Globalization;
using System.Text.RegularExpressions;
using BytePort.Manifest.Toml;

namespace BytePort.Manifest.Hac;

/// <summary>Reads what a machine may have beyond its plain hardware, and the table of a template.</summary>
internal static partial class HacExtras
{
    public const string Template = "template";

    public const string Limits = "limits";

    public static readonly string[] LimitKeys = [.. MachineLimit.All.Select(limit => limit.Key)];

    public static readonly string[] TemplateKeys = ["data", "modes", "script_seconds"];

    private const int MaxPorts = 64;
    private const int MaxDevices = 16;
    private const int MaxModes = 1000;
    private const int MaxPath = 4000;
    private const int MaxScriptSeconds = 3600;

    public static string? ReadOs(HacValue value) =>
        value.Text is { Length: <= 60 } text && OsPattern().IsMatch(text) ? text : value.Refuse<string>("an operating system of the catalogue such as \"debian-12\"; 'byteport machine os ls' lists them");

    public static string? ReadDriver(HacValue value) =>
        value.Text is { Length: >= 1 and <= 39 } text && text.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character == '-')
            ? text
            : value.Refuse<string>("\"auto\" or a driver's name such as \"qemu\"; 'byteport machine drivers' lists them");

    public static string? ReadMachineType(HacValue value) =>
        value.Text is HacFile.Auto or "microvm" or "q35" ? value.Text : value.Refuse<string>("\"auto\", \"microvm\" or \"q35\"");

    public static bool? ReadFlag(HacValue value) => value.Value is TomlBoolean flag ? flag.Flag : value.Refuse<bool?>("true or false");

    public static IReadOnlyDictionary<int, int>? ReadPorts(HacValue value)
    {
        var ports = new Dictionary<int, int>();
        if (value.Value is not TomlArray { Items.Count: <= MaxPorts } list)
            return value.Refuse<IReadOnlyDictionary<int, int>>($"a list of up to {MaxPorts} ports such as [\"8081:80\"]");
        foreach (var item in list.Items.Select(item => value with { Value = item }))
        {
            if (item.Text is not { } text || text.Split(':') is not [var from, var to] || !TryPort(from, out var host) || !TryPort(to, out var guest))
                _ = item.Refuse<string>("a port of the host and one of the machine such as \"8081:80\"");
            else if (!ports.TryAdd(host, guest))
                item.Errors.Add(item.Value.Location, $"{item.Path} has the host's port {host} twice.", "Remove one of them.");
        }

        return ports;
    }

    public static IReadOnlyList<string>? ReadPciDevices(HacValue value) =>
        ReadTexts(value, PciAddressPattern(), "addresses of PCI devices such as \"0000:01:00.0\"; 'byteport machine pci ls' lists them");

    public static IReadOnlyList<string>? ReadPciKinds(HacValue value) =>
        ReadTexts(value, PciKindPattern(), "kinds of PCI devices: a name such as \"vga\", a class such as \"0302\", or vendor and device such as \"10de:1eb8\"");

    public static MachineLimits ReadLimits(HacSection section) => MachineLimit.All.Aggregate(
        new MachineLimits(), (limits, limit) => limit.Set(limits, section.Optional(limit.Key, value => ReadLimit(value, limit))));

    public static HacTemplate ReadTemplate(HacSection section)
    {
        var defaults = new HacTemplate();
        return new()
        {
            Data = section.Optional("data", ReadGuestFolder) ?? defaults.Data,
            Modes = section.Optional("modes", ReadModes) ?? defaults.Modes,
            ScriptSeconds = section.Optional<int?>("script_seconds", ReadSeconds) ?? defaults.ScriptSeconds,
        };
    }

    private static long? ReadLimit(HacValue value, MachineLimit limit) => value.Value switch
    {
        TomlInteger number when limit.Allows(number.Number) => number.Number,
        TomlString text when limit.Parse(text.Text) is { } parsed => parsed,
        _ => value.Refuse<long?>(limit.Expected),
    };

    private static List<string>? ReadTexts(HacValue value, Regex pattern, string expected)
    {
        var items = value.Value is TomlArray array ? array.Items : [value.Value];
        if (items.Count > MaxDevices)
            return value.Refuse<List<string>>($"a list of up to {MaxDevices} {expected}");
        var texts = new List<string>();
        foreach (var item in items.Select(item => value with { Value = item }))
        {
            if (item.Text is not { } text || !pattern.IsMatch(text))
                _ = item.Refuse<string>($"a list of {expected}");
            else
                texts.Add(text);
        }

        return [.. texts.Distinct()];
    }

    private static string? ReadGuestFolder(HacValue value) =>
        value.Text is { Length: > 1 and <= MaxPath } text && text[0] == '/' && IsPlain(text[1..]) ? text : value.Refuse<string>("an absolute path without . and .. in it, and not /");

    private static IReadOnlyDictionary<string, int>? ReadModes(HacValue value)
    {
        if (value.Value is not TomlTable { Entries.Count: <= MaxModes } table)
            return value.Refuse<IReadOnlyDictionary<string, int>>("a table of up to 1000 paths such as { \"etc/key.pem\" = \"600\" }");
        var modes = new Dictionary<string, int>();
        foreach (var (path, entry) in table.Entries)
        {
            var mode = value with { Value = entry.Value, Path = $"{value.Path}.\"{path}\"" };
            if (path.Length is 0 or > MaxPath || !IsPlain(path))
                value.Errors.Add(entry.KeyLocation, $"{value.Path} has the path \"{Shown.Of(path)}\".", "Write it as it is below config/, such as \"etc/key.pem\".");
            else if (mode.Text is not { Length: 3 or 4 } text || text.Any(character => character is < '0' or > '7'))
                _ = mode.Refuse<string>("permission bits in octal digits such as \"600\"");
            else
                modes[path] = Convert.ToInt32(text, 8);
        }

        return modes;
    }

    private static int? ReadSeconds(HacValue value) =>
        value.Value is TomlInteger { Number: >= 1 and <= MaxScriptSeconds } seconds ? (int)seconds.Number : value.Refuse<int?>($"a whole number from 1 to {MaxScriptSeconds}");

    private static bool IsPlain(string path) => !path.Any(char.IsControl) && path.Split('/').All(part => part is not ("" or "." or ".."));

    private static bool TryPort(string text, out int port)
    {
        var isPort = ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0;
        port = number;
        return isPort;
    }

    [GeneratedRegex("^[a-z0-9]+([.-][a-z0-9]+)*\\z")]
    private static partial Regex OsPattern();

    [GeneratedRegex("^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]\\z")]
    private static partial Regex PciAddressPattern();

    [GeneratedRegex("^([0-9a-f]{2}|[0-9a-f]{4}|[0-9a-f]{4}:[0-9a-f]{4}|display|vga|network|ethernet|storage|nvme|audio|usb|accelerator)\\z")]
    private static partial Regex PciKindPattern();
}
