namespace BytePort.Manifest;

/// <summary>
/// What a project's <c>byteport.yaml</c> says, checked. Everything is optional: null (or an empty list) means that the file
/// does not say, and detection decides.
/// </summary>
public sealed record ProjectManifest
{
    /// <summary>The manifest's file names, in the order in which they are looked for.</summary>
    public static IReadOnlyList<string> FileNames { get; } = ["byteport.yaml", "byteport.yml"];

    /// <summary>The project's name: <c>[a-z][a-z0-9-]{0,38}</c>.</summary>
    public string? Name { get; init; }

    /// <summary>The services in the order of the file. Empty: detection finds the only service in the root folder.</summary>
    public IReadOnlyList<ServiceManifest> Services { get; init; } = [];

    public PortfolioManifest? Portfolio { get; init; }
}

/// <summary>How the project appears in its owner's portfolio.</summary>
public sealed record PortfolioManifest
{
    public bool Show { get; init; } = true;
    public string? Title { get; init; }
    public IReadOnlyList<string> Tags { get; init; } = [];
}
