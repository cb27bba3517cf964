using System.Text.Json.Nodes;
using BytePort.Manifest.Yaml;

namespace BytePort.Manifest.Shapes;

/// <summary>
/// What a value may be. The same description reads a manifest, explains what is wrong with it, and is published as JSON Schema, so
/// the three cannot disagree.
/// </summary>
internal abstract class Shape
{
    private const int MaxShown = 60;

    /// <summary>Reads the value; adds an error and returns null when it is not of this shape.</summary>
    /// <param name="node">The value.</param>
    /// <param name="path">Where it is, such as <c>services.api.port</c>, for messages.</param>
    /// <param name="errors">Takes what is wrong.</param>
    public abstract Value? Read(YamlNode node, string path, ErrorList errors);

    public abstract JsonObject ToSchema();

    protected static Value? Refuse(YamlNode node, string path, string expected, ErrorList errors)
    {
        errors.Add(node.Location, $"{path} must be {expected}, not {Show(node)}.");
        return null;
    }

    private static string Show(YamlNode node) => node switch
    {
        YamlScalar { IsNull: true } => "empty",
        YamlScalar scalar => $"\"{(scalar.Text.Length <= MaxShown ? scalar.Text : $"{scalar.Text[..MaxShown]}…")}\"",
        YamlSequence => "a list",
        _ => "a mapping of keys",
    };
}

/// <summary>A value that was read: a string, int, bool, or one of the three below, with its place.</summary>
internal abstract record Value(Location Location);

internal sealed record Leaf(Location Location, object Content) : Value(Location);

internal sealed record Items(Location Location, IReadOnlyList<Value> All) : Value(Location);

/// <param name="Location">Where the mapping starts.</param>
/// <param name="All">The keys whose values are right.</param>
internal sealed record Pairs(Location Location, IReadOnlyList<Pair> All) : Value(Location)
{
    /// <summary>Keys that were written but whose values are wrong; the error is already reported.</summary>
    public IReadOnlyList<string> Refused { get; init; } = [];
}

internal sealed record Pair(string Key, Location KeyLocation, Value Value);
