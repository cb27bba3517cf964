using System.Globalization;
using BytePort.Manifest.Shapes;
using BytePort.Manifest.Toml;

namespace BytePort.Manifest.Hac;

/// <summary>Looks into the tables of a <c>hac.toml</c> and collects what is wrong with their keys.</summary>
internal static class HacKeys
{
    public static void RefuseUnknown(TomlTable table, string? path, string[] known, ErrorList errors)
    {
        foreach (var (key, entry) in table.Entries.Where(entry => !known.Contains(entry.Key)))
        {
            var suggestion = Spelling.Suggest(key, known) ?? $"Known {(path is null ? "tables" : "keys")}: {string.Join(", ", known)}.";
            errors.Add(entry.KeyLocation, $"Unknown key \"{Shown.Of(key)}\"{(path is null ? "" : $" in [{path}]")}.", suggestion);
        }
    }

    public static HacSection Section(TomlTable root, string name, string[] known, ErrorList errors)
    {
        if (!root.Entries.TryGetValue(name, out var entry))
            return new(name, null, errors);
        if (entry.Value is not TomlTable table)
        {
            errors.Add(entry.Value.Location, $"{name} must be a table.", $"Write [{name}] on a line of its own.");
            return new(name, null, errors) { IsRefused = true };
        }

        RefuseUnknown(table, name, known, errors);
        return new(name, table, errors);
    }
}

/// <summary>One table of the file.</summary>
/// <param name="Name">As it is written in brackets.</param>
/// <param name="Table">Null when it is not there.</param>
/// <param name="Errors">Takes what is wrong.</param>
internal sealed record HacSection(string Name, TomlTable? Table, ErrorList Errors)
{
    /// <summary>True when the file has something else under the name; the error is already reported.</summary>
    public bool IsRefused { get; init; }

    public bool Has(string key) => Table?.Entries.ContainsKey(key) is true;

    public T? Optional<T>(string key, Func<HacValue, T?> read) =>
        Table is not null && Table.Entries.TryGetValue(key, out var entry) ? read(new(entry.Value, $"{Name}.{key}", Errors)) : default;

    public T? Required<T>(string key, string what, Func<HacValue, T?> read)
        where T : class
    {
        if (!IsRefused && Table?.Entries.ContainsKey(key) is not true)
            Errors.Add(Table?.Location ?? new(1, 1), $"[{Name}] needs the key \"{key}\".", what);
        return Optional(key, read);
    }
}

/// <summary>A value with what messages call it.</summary>
internal sealed record HacValue(TomlValue Value, string Path, ErrorList Errors)
{
    public string? Text => (Value as TomlString)?.Text;

    /// <summary>Reports that the value is not what it must be.</summary>
    /// <returns>Always null.</returns>
    public T? Refuse<T>(string expected)
    {
        Errors.Add(Value.Location, $"{Path} must be {expected}, not {Show()}.");
        return default;
    }

    private string Show() => Value switch
    {
        TomlString text => $"\"{Shown.Of(text.Text)}\"",
        TomlInteger number => number.Number.ToString(CultureInfo.InvariantCulture),
        TomlFloat number => number.Number.ToString(CultureInfo.InvariantCulture),
        TomlBoolean flag => flag.Flag ? "true" : "false",
        TomlDateTime => "a date or time",
        TomlArray => "a list",
        _ => "a table",
    };
}
