using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using BytePort.Manifest.Yaml;

namespace BytePort.Manifest.Shapes;

/// <summary>A list of one shape.</summary>
/// <param name="expected">What it must be, for messages.</param>
/// <param name="item">What each item must be.</param>
/// <param name="maxItems">Most items.</param>
internal sealed class ListShape(string expected, Shape item, int maxItems) : Shape
{
    public override Value? Read(YamlNode node, string path, ErrorList errors)
    {
        if (node is not YamlSequence sequence)
            return Refuse(node, path, expected, errors);
        if (sequence.Items.Count > maxItems)
        {
            errors.Add(node.Location, $"{path} has {sequence.Items.Count} items; {maxItems} is the limit.");
            return null;
        }

        var values = sequence.Items.Select((child, index) => item.Read(child, $"{path}[{index}]", errors)).ToList();
        return new Items(node.Location, [.. values.OfType<Value>()]);
    }

    public override JsonObject ToSchema() => new() { ["type"] = "array", ["items"] = item.ToSchema(), ["maxItems"] = maxItems };
}

/// <summary>A mapping whose keys the user chooses.</summary>
/// <param name="expected">What it must be, for messages.</param>
/// <param name="keyExpected">What a key must be, for messages.</param>
/// <param name="keyPattern">What a key must match.</param>
/// <param name="item">What each value must be.</param>
/// <param name="maxItems">Most keys.</param>
internal sealed class MapShape(string expected, string keyExpected, string keyPattern, Shape item, int maxItems) : Shape
{
    public override Value? Read(YamlNode node, string path, ErrorList errors)
    {
        if (node is not YamlMapping mapping)
            return Refuse(node, path, expected, errors);
        if (mapping.Entries.Count > maxItems)
        {
            errors.Add(node.Location, $"{path} has {mapping.Entries.Count} keys; {maxItems} is the limit.");
            return null;
        }

        var pairs = new List<Pair>();
        foreach (var entry in mapping.Entries)
        {
            if (!Regex.IsMatch(entry.Key.Text, keyPattern, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1)))
                Refuse(entry.Key, $"A key of {path}", keyExpected, errors);
            else if (item.Read(entry.Value, $"{path}.{entry.Key.Text}", errors) is { } value)
                pairs.Add(new(entry.Key.Text, entry.Key.Location, value));
        }

        return new Pairs(node.Location, pairs);
    }

    public override JsonObject ToSchema() => new()
    {
        ["type"] = "object",
        ["propertyNames"] = new JsonObject { ["pattern"] = keyPattern },
        ["additionalProperties"] = item.ToSchema(),
        ["maxProperties"] = maxItems,
    };
}

/// <summary>A key that the manifest defines.</summary>
/// <param name="Key">As it is written.</param>
/// <param name="Description">One sentence for the schema and the reference.</param>
/// <param name="Shape">What its value must be.</param>
internal sealed record Field(string Key, string Description, Shape Shape)
{
    public bool Required { get; init; }

    /// <summary>What other platforms call it; only for suggestions.</summary>
    public IReadOnlyList<string> OtherNames { get; init; } = [];
}

/// <summary>A mapping whose keys the manifest defines; any other key is an error.</summary>
internal sealed class ObjectShape(IReadOnlyList<Field> fields) : Shape
{
    /// <summary>True: an empty value stands for an object without keys.</summary>
    public bool MayBeEmpty { get; init; }

    public IReadOnlyList<Field> Fields => fields;

    public override Value? Read(YamlNode node, string path, ErrorList errors)
    {
        if (MayBeEmpty && node is YamlScalar { IsNull: true })
            return new Pairs(node.Location, []);
        if (node is not YamlMapping mapping)
            return Refuse(node, path.Length == 0 ? "The manifest" : path, $"a mapping of keys ({KeyList})", errors);

        var pairs = new List<Pair>();
        var refused = new List<string>();
        foreach (var entry in mapping.Entries)
        {
            var childPath = path.Length == 0 ? entry.Key.Text : $"{path}.{entry.Key.Text}";
            if (fields.FirstOrDefault(field => field.Key == entry.Key.Text) is not { } known)
                errors.Add(entry.Key.Location, $"Unknown key \"{Spelling.Shorten(entry.Key.Text)}\"{(path.Length == 0 ? "" : $" in {path}")}.", Suggest(entry.Key.Text));
            else if (known.Shape.Read(entry.Value, childPath, errors) is { } value)
                pairs.Add(new(known.Key, entry.Key.Location, value));
            else
                refused.Add(known.Key);
        }

        foreach (var missing in fields.Where(field => field.Required && mapping.Entries.All(entry => entry.Key.Text != field.Key)))
            errors.Add(node.Location, $"{path} needs the key \"{missing.Key}\".", missing.Description);
        return new Pairs(node.Location, pairs) { Refused = refused };
    }

    public override JsonObject ToSchema()
    {
        var properties = new JsonObject();
        foreach (var field in fields)
        {
            var schema = field.Shape.ToSchema();
            schema.Insert(0, "description", field.Description);
            properties[field.Key] = schema;
        }

        var result = new JsonObject { ["type"] = MayBeEmpty ? new JsonArray("object", "null") : "object" };
        if (fields.Any(field => field.Required))
            result["required"] = new JsonArray([.. fields.Where(field => field.Required).Select(field => (JsonNode)field.Key)]);
        result["properties"] = properties;
        result["additionalProperties"] = false;
        return result;
    }

    private string KeyList => string.Join(", ", fields.Select(known => known.Key));

    private string Suggest(string key) =>
        fields.FirstOrDefault(field => field.OtherNames.Contains(key, StringComparer.OrdinalIgnoreCase)) is { } other
            ? $"Did you mean \"{other.Key}\"?"
            : Spelling.Suggest(key, [.. fields.Select(field => field.Key)]) ?? $"Known keys: {KeyList}.";
}
