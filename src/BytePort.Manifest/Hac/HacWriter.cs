using System.Globalization;
using System.Text;

namespace BytePort.Manifest.Hac;

/// <summary>Writes a <c>hac.toml</c> as a person would: what is as by default is left out, but for the hardware's basics.</summary>
public static class HacWriter
{
    /// <summary>The text of a file that <see cref="HacReader"/> reads as the same.</summary>
    public static string Write(HacFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        var text = new StringBuilder();
        Line("[spacecore]");
        Line($"name = {Quote(file.Name)}");
        if (file.Description is { } description)
            Line($"description = {Quote(description)}");
        Line("");
        Line("[hardware]");
        Line(file.Os is { } os ? $"os = {Quote(os)}" : $"ref = {Quote(file.Ref?.Text ?? "")}");
        Line(string.Create(CultureInfo.InvariantCulture, $"cores = {file.Cores}"));
        Line($"memory = {Quote(Size((long)file.MemoryMiB << 20))}");
        Line($"drive = {Quote(Size(file.DriveBytes))}");
        if (file.Kernel != HacFile.DefaultKernel)
            Line($"kernel = {Quote(file.Kernel)}");
        Line($"interface = {(file.Interfaces.Count switch { 0 => Quote("none"), 1 => Quote(file.Interfaces[0]), _ => List(file.Interfaces) })}");
        if (file.Routes.Count > 0)
            Line($"router = {List(file.Routes)}");
        if (file.Driver != HacFile.Auto)
            Line($"driver = {Quote(file.Driver)}");
        if (file.MachineType != HacFile.Auto)
            Line($"machine = {Quote(file.MachineType)}");
        if (file.IsPersistent)
            Line("persistent = true");
        if (file.Ports.Count > 0)
            Line($"ports = {List(file.Ports.Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Key}:{pair.Value}")))}");
        if (file.PciDevices.Count > 0)
            Line($"pci = {List(file.PciDevices)}");
        if (file.PciKinds.Count > 0)
            Line($"pci_kind = {List(file.PciKinds)}");
        if (file.NestedVirtualization)
            Line("nested_virtualization = true");
        AddLimits(file.Limits);
        AddTemplate(file.Template);
        return text.ToString();

        void Line(string line) => text.Append(line).Append('\n');

        void AddLimits(MachineLimits limits)
        {
            if (!limits.HasAny())
                return;
            Line("");
            Line("[limits]");
            foreach (var limit in MachineLimit.All.Where(limit => limit.Get(limits) is not null))
                Line($"{limit.Key} = {Written(limit, limit.Get(limits)!.Value)}");
        }

        void AddTemplate(HacTemplate template)
        {
            var defaults = new HacTemplate();
            if (template.Data == defaults.Data && template.ScriptSeconds == defaults.ScriptSeconds && template.Modes.Count == 0)
                return;
            Line("");
            Line("[template]");
            Line($"data = {Quote(template.Data)}");
            Line(string.Create(CultureInfo.InvariantCulture, $"script_seconds = {template.ScriptSeconds}"));
            if (template.Modes.Count > 0)
                Line($"modes = {{ {string.Join(", ", template.Modes.Select(pair => $"{Quote(pair.Key)} = {Quote(Convert.ToString(pair.Value, 8).PadLeft(3, '0'))}"))} }}");
        }
    }

    private static string Written(MachineLimit limit, long value)
    {
        var text = limit.Show(value);
        return char.IsAsciiDigit(text[^1]) ? text : Quote(text);
    }

    private static string List(IEnumerable<string> items) => $"[{string.Join(", ", items.Select(Quote))}]";

    private static string Size(long bytes) => (bytes & ((1L << 30) - 1)) == 0
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes >> 30}G")
        : (bytes & ((1 << 20) - 1)) == 0
            ? string.Create(CultureInfo.InvariantCulture, $"{bytes >> 20}M")
            : string.Create(CultureInfo.InvariantCulture, $"{bytes >> 10}K");

    /// <summary>A text as TOML writes it: a basic string, with all that it must not hold escaped.</summary>
    public static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (var c in text)
        {
            _ = c switch
            {
                '"' or '\\' => quoted.Append('\\').Append(c),
                '\n' => quoted.Append("\\n"),
                '\r' => quoted.Append("\\r"),
                '\t' => quoted.Append("\\t"),
                _ when char.IsControl(c) => quoted.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:X4}"),
                _ => quoted.Append(c),
            };
        }

        return quoted.Append('"').ToString();
    }
}
