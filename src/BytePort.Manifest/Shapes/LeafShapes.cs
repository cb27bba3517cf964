using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using BytePort.Manifest.Yaml;

namespace BytePort.Manifest.Shapes;

/// <summary>Text, optionally one of a few values, of a pattern, or checked by code.</summary>
/// <param name="expected">What it must be, for messages: "a path such as …".</param>
internal sealed class TextShape(string expected) : Shape
{
    /// <summary>The same dialect in .NET and in JSON Schema (ECMA-262); it must match the whole text.</summary>
    public string? Pattern { get; init; }

    public int MaxLength { get; init; } = 1000;

    public IReadOnlyList<string>? Choices { get; init; }

    /// <summary>Turns the text into the value, or returns null when it is not right.</summary>
    public Func<string, object?> Convert { get; init; } = text => text;

    /// <summary>True: nothing at all is the empty text, and numbers and flags are taken as they are written.</summary>
    public bool Verbatim { get; init; }

    public override Value? Read(YamlNode node, string path, ErrorList errors)
    {
        if (node is not YamlScalar scalar || (scalar.IsNull && !Verbatim) || scalar.Text.Contains('\0', StringComparison.Ordinal))
            return Refuse(node, path, expected, errors);
        var text = scalar.IsNull && scalar.Text is "~" or "null" && Verbatim && !scalar.Quoted ? "" : scalar.Text;
        if (text.Length > MaxLength)
        {
            errors.Add(node.Location, $"{path} is {text.Length} characters long; {MaxLength} is the limit.");
            return null;
        }

        if (Choices is not null && !Choices.Contains(text))
        {
            errors.Add(node.Location, $"{path} must be {expected}, not \"{text}\".", Spelling.Suggest(text, Choices));
            return null;
        }

        if (Pattern is not null && !Regex.IsMatch(text, Pattern, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1)))
            return Refuse(node, path, expected, errors);
        return Convert(text) is { } content ? new Leaf(node.Location, content) : Refuse(node, path, expected, errors);
    }

    public override JsonObject ToSchema()
    {
        var schema = new JsonObject { ["type"] = Verbatim ? new JsonArray("string", "number", "boolean", "null") : "string" };
        if (Choices is not null)
            schema["enum"] = new JsonArray([.. Choices.Select(choice => (JsonNode)choice)]);
        if (Pattern is not null)
            schema["pattern"] = Pattern;
        if (Choices is null && !Verbatim)
            schema["minLength"] = 1;
        if (Choices is null)
            schema["maxLength"] = MaxLength;
        return schema;
    }
}

/// <summary>A whole number in a range, both ends included.</summary>
internal sealed class NumberShape(int min, int max) : Shape
{
    public override Value? Read(YamlNode node, string path, ErrorList errors) =>
        node is YamlScalar { Quoted: false } scalar
        && int.TryParse(scalar.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
        && number >= min && number <= max
            ? new Leaf(node.Location, number)
            : Refuse(node, path, $"a whole number from {min} to {max}", errors);

    public override JsonObject ToSchema() => new() { ["type"] = "integer", ["minimum"] = min, ["maximum"] = max };
}

/// <summary>true or false; YAML 1.1's yes, no, on and off are refused, because they are text in YAML 1.2.</summary>
internal sealed class FlagShape : Shape
{
    public override Value? Read(YamlNode node, string path, ErrorList errors) =>
        node is YamlScalar { Quoted: false, Text: "true" or "false" } scalar
            ? new Leaf(node.Location, scalar.Text == "true")
            : Refuse(node, path, "true or false", errors);

    public override JsonObject ToSchema() => new() { ["type"] = "boolean" };
}
