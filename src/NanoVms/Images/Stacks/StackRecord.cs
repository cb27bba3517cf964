namespace NanoVms.Images.Stacks;

/// <summary>What the store keeps of a stack that was made: all that a machine needs of it, so that it outlives its recipe. Fields are only ever added.</summary>
internal sealed record StackRecord
{
    public int Version { get; init; } = 1;

    public required string Name { get; init; }

    public required string StackVersion { get; init; }

    /// <summary>Of the recipe and those below it, see <see cref="StackRecipe.ImageKey"/>.</summary>
    public required string Key { get; init; }

    /// <summary>Names of files in the store's folder of stacks, lowest first.</summary>
    public required IReadOnlyList<string> Layers { get; init; }

    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    public string User { get; init; } = "root";

    public required DateTimeOffset MadeAt { get; init; }
}
