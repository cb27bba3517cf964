namespace NanoVms.Images.Stacks;

/// <summary>A stack as a reference means it: the exact version, and what it stands on. Nothing is made yet.</summary>
/// <param name="Package">Of an npm recipe; null where the layer is there already, so that no registry was asked.</param>
internal sealed record StackPlan(StackRecipe Recipe, string Version, NpmPackage? Package, StackPlan? Below)
{
    public string Key => Recipe.ImageKey(Version, Below?.Key);

    public string LayerName => $"{Recipe.Name}-{Version}-{Recipe.LayerKey(Version)}.erofs";

    /// <summary>All layers' names, lowest first. A recipe that only sets values has none of its own.</summary>
    public IReadOnlyList<string> Layers => [.. Below?.Layers ?? [], .. HasLayer ? new[] { LayerName } : []];

    public bool HasLayer => Recipe.Debian is not null || Recipe.Npm is not null || Recipe.Files.Count > 0;

    public string User => Recipe.User ?? Below?.User ?? "root";

    /// <summary>With what lies below, which the recipe's own values go on top of.</summary>
    public IReadOnlyDictionary<string, string> Environment
    {
        get
        {
            var all = new SortedDictionary<string, string>(StringComparer.Ordinal);
            foreach (var (name, value) in (Below?.Environment ?? new Dictionary<string, string>()).Concat(Recipe.Environment))
                all[name] = value;
            return all;
        }
    }
}
