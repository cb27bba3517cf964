namespace NanoVms.Images;

/// <summary>A runtime image.</summary>
/// <param name="Name">For example <c>node</c>.</param>
/// <param name="Version">Exact, for example <c>22.11.0</c>.</param>
/// <param name="Layers">EROFS files, lowest first.</param>
/// <param name="Environment">For every process that runs on it.</param>
public sealed record StackImage(
    string Name, string Version, IReadOnlyList<string> Layers, IReadOnlyDictionary<string, string> Environment)
{
    /// <summary>16 hexadecimal digits that change with the recipe of it or of what it stands on.</summary>
    public string Digest { get; init; } = "";

    /// <summary>The account of its main process, by name, where nobody says another.</summary>
    public string User { get; init; } = "root";

    /// <summary>Gives this very image again for as long as something needs it: <c>node@22.11.0+0123456789abcdef</c>.</summary>
    public string Reference => Digest.Length == 0 ? $"{Name}@{Version}" : $"{Name}@{Version}+{Digest}";
}
