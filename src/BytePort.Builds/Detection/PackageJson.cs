using System.Text.Json;

namespace BytePort.Builds.Detection;

/// <summary>What package.json says, of that which matters here (docs.npmjs.com, "package.json").</summary>
internal sealed record PackageJson
{
    public IReadOnlyDictionary<string, string> Scripts { get; private init; } = new Dictionary<string, string>();

    public IReadOnlySet<string> Dependencies { get; private init; } = new HashSet<string>();

    public IReadOnlySet<string> DevDependencies { get; private init; } = new HashSet<string>();

    public string? Main { get; private init; }

    public string? NodeVersion { get; private init; }

    /// <summary><c>pnpm@9.1.0</c>, the hash behind a plus cut off.</summary>
    public string? PackageManager { get; private init; }

    public bool DependsOn(string name) => Dependencies.Contains(name) || DevDependencies.Contains(name);

    /// <exception cref="JsonException">Not JSON, or no object.</exception>
    public static PackageJson Parse(string text)
    {
        using var document = JsonDocument.Parse(text, new JsonDocumentOptions { AllowTrailingCommas = false, MaxDepth = 32 });
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
            throw new JsonException("it is no object");
        return new PackageJson
        {
            Scripts = Texts(root, "scripts"),
            Dependencies = Texts(root, "dependencies").Keys.Concat(Texts(root, "optionalDependencies").Keys).ToHashSet(),
            DevDependencies = Texts(root, "devDependencies").Keys.ToHashSet(),
            Main = Text(root, "main"),
            NodeVersion = root.TryGetProperty("engines", out var engines) ? Text(engines, "node") : null,
            PackageManager = Text(root, "packageManager")?.Split('+')[0],
        };
    }

    private static string? Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object
        && element.TryGetProperty(name, out var value)
        && value.ValueKind == JsonValueKind.String
        && value.GetString() is { Length: > 0 } text
            ? text
            : null;

    private static Dictionary<string, string> Texts(JsonElement root, string name)
    {
        var texts = new Dictionary<string, string>();
        if (root.TryGetProperty(name, out var group) && group.ValueKind == JsonValueKind.Object)
            foreach (var property in group.EnumerateObject())
                texts[property.Name] = property.Value.ValueKind == JsonValueKind.String ? property.Value.GetString()! : "";
        return texts;
    }
}
