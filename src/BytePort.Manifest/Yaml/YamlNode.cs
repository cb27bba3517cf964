namespace BytePort.Manifest.Yaml;

/// <summary>A piece of YAML with its place. Aliases are already resolved to the node that they name.</summary>
internal abstract record YamlNode(Location Location);

/// <param name="Location">Where it starts.</param>
/// <param name="Text">The value after quoting and folding are undone.</param>
/// <param name="Quoted">False for a plain scalar, whose text may mean a number, a flag or nothing.</param>
internal sealed record YamlScalar(Location Location, string Text, bool Quoted) : YamlNode(Location)
{
    public bool IsNull => !Quoted && Text is "" or "~" or "null";
}

internal sealed record YamlSequence(Location Location, IReadOnlyList<YamlNode> Items) : YamlNode(Location);

internal sealed record YamlMapping(Location Location, IReadOnlyList<YamlEntry> Entries) : YamlNode(Location);

internal sealed record YamlEntry(YamlScalar Key, YamlNode Value);
