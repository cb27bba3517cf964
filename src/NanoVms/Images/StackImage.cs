namespace NanoVms.Images;

/// <summary>A runtime image.</summary>
/// <param name="Name">For example <c>node</c>.</param>
/// <param name="Version">Exact, for example <c>22.11.0</c>.</param>
/// <param name="Layers">EROFS files, lowest first.</param>
/// <param name="Environment">For every process that runs on it.</param>
public sealed record StackImage(
    string Name, string Version, IReadOnlyList<string> Layers, IReadOnlyDictionary<string, string> Environment)
{
    /// <summary>Gives this very image again: <c>node@22.11.0</c>.</summary>
    public string Reference => $"{Name}@{Version}";
}
