namespace BytePort.Manifest.Toml;

/// <summary>The text is not TOML 1.0, or passes a limit. The first error ends the reading.</summary>
internal sealed class TomlException(Location location, string message, string? suggestion = null) : FormatException(message)
{
    public Location Location { get; } = location;

    /// <summary>What to do about it, as a sentence; null when the message says it all.</summary>
    public string? Suggestion { get; } = suggestion;
}
