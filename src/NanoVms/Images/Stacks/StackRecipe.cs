using System.Security.Cryptography;
using System.Text.Json;

namespace NanoVms.Images.Stacks;

/// <summary>How a stack is made; data, from a file.</summary>
internal sealed record StackRecipe
{
    // Part of every key: raised when the same recipe would give other bytes.
    private const string BuilderVersion = "3";

    public required string Name { get; init; }

    /// <summary>Where the recipe is: a path, or that it is built in.</summary>
    public required string Origin { get; init; }

    public required string Text { get; init; }

    /// <summary>The stack below, or null.</summary>
    public string? On { get; init; }

    /// <summary>The one version there is; null for npm, whose runtime has many.</summary>
    public string? Version { get; init; }

    /// <summary>What a reference without version means.</summary>
    public string? Default { get; init; }

    /// <summary>Names for ranges.</summary>
    public IReadOnlyDictionary<string, string> Aliases { get; init; } = new Dictionary<string, string>();

    public DebianRecipe? Debian { get; init; }

    public NpmRecipe? Npm { get; init; }

    public IReadOnlyList<RecipeFile> Files { get; init; } = [];

    /// <summary>The account of the main process where nobody says another, by name; null for that of the stack below, or root.</summary>
    public string? User { get; init; }

    public IReadOnlyDictionary<string, string> Environment { get; init; } = new SortedDictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Changes with everything that goes into the stack's own layer.</summary>
    public string LayerKey(string version) => Hash(BuilderVersion, version, Debian, Npm, Files);

    /// <summary>Changes with everything that a machine sees of the stack.</summary>
    /// <param name="below">Key of the image below, or null.</param>
    public string ImageKey(string version, string? below) => Hash(Name, LayerKey(version), below, User, Environment);

    private static string Hash(params object?[] parts) =>
        Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(parts)))[..16];
}

internal sealed record DebianRecipe
{
    public required string Suite { get; init; }

    public IReadOnlyList<string> Packages { get; init; } = [];

    /// <summary>Commands, as argument lists, run in the root once the packages are installed.</summary>
    public IReadOnlyList<IReadOnlyList<string>> Run { get; init; } = [];

    /// <summary>Folders to remove at the end, relative to the root.</summary>
    public IReadOnlyList<string> Trim { get; init; } = [];
}

internal sealed record NpmRecipe
{
    /// <summary>Package with the runtime's binary; its versions are the stack's.</summary>
    public required string Runtime { get; init; }

    public required string Manager { get; init; }

    /// <summary>Major version of the manager by major version of the runtime.</summary>
    public IReadOnlyDictionary<string, string> Managers { get; init; } = new SortedDictionary<string, string>(StringComparer.Ordinal);
}

/// <param name="Path">Absolute in the stack.</param>
/// <param name="Mode">Permissions, 0 to 0777 (octal).</param>
/// <param name="Owner"><c>root</c> or <c>app</c>.</param>
internal sealed record RecipeFile(string Path, string Content, int Mode, string Owner)
{
    private const int App = 1000;

    /// <summary>Writes the file into a root; folders that are missing on the way are made, links on the way are refused.</summary>
    /// <exception cref="ImageException">A folder on the way is a link or a file.</exception>
    public void Write(string root)
    {
        var folder = root;
        var parts = Path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        foreach (var part in parts[..^1])
        {
            folder = System.IO.Path.Combine(folder, part);
            var found = new FileInfo(folder);
            if (found.LinkTarget is not null || found.Exists)
                throw new ImageException($"The recipe's file {Path} cannot be written: {folder[root.Length..]} is a link or a file in the stack. Name the folder itself.");
            _ = Directory.CreateDirectory(folder);
        }

        var target = System.IO.Path.Combine(folder, parts[^1]);
        // What was there may be a link to anywhere.
        File.Delete(target);
        File.WriteAllText(target, Content);
        File.SetUnixFileMode(target, (UnixFileMode)Mode);
        if (Owner == "app")
            FileOwner.Set(target, App, App);
    }
}
