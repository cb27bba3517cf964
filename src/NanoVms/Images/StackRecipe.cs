using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace NanoVms.Images;

/// <summary>How a stack is made; data, from <c>Stacks/*.yaml</c>.</summary>
internal sealed record StackRecipe
{
    // Part of every key: raised when the same recipe would give other bytes.
    private const string BuilderVersion = "2";

    private static readonly Lazy<FrozenDictionary<string, StackRecipe>> All = new(ReadAll);

    public static IReadOnlyCollection<string> Names => All.Value.Keys;

    public string Name { get; init; } = "";

    /// <summary>The stack below, or null.</summary>
    public string? On { get; init; }

    /// <summary>The version of a Debian recipe.</summary>
    public string? Version { get; init; }

    /// <summary>What a reference without version means.</summary>
    public string? Default { get; init; }

    /// <summary>Names for ranges.</summary>
    public Dictionary<string, string> Aliases { get; init; } = [];

    public DebianRecipe? Debian { get; init; }

    public NpmRecipe? Npm { get; init; }

    public Dictionary<string, string> Environment { get; init; } = [];

    [YamlIgnore]
    public string Text { get; private init; } = "";

    public static StackRecipe? Find(string name) => All.Value.GetValueOrDefault(name);

    /// <summary>Changes with everything that goes into the stack's own layer.</summary>
    public string Key(string version) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{BuilderVersion}\n{version}\n{Text}")))[..16];

    private static FrozenDictionary<string, StackRecipe> ReadAll()
    {
        var yaml = new DeserializerBuilder().WithNamingConvention(CamelCaseNamingConvention.Instance).Build();
        var assembly = typeof(StackRecipe).Assembly;
        return assembly.GetManifestResourceNames()
            .Where(name => name.EndsWith(".stack.yaml", StringComparison.Ordinal))
            .Select(name =>
            {
                using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
                var text = reader.ReadToEnd();
                return yaml.Deserialize<StackRecipe>(text) with { Text = text };
            })
            .ToFrozenDictionary(recipe => recipe.Name);
    }
}

internal sealed record DebianRecipe
{
    public string Suite { get; init; } = "";

    public List<string> Packages { get; init; } = [];

    /// <summary>Commands, as argument lists, run in the root once the packages are installed.</summary>
    public List<List<string>> Run { get; init; } = [];

    /// <summary>Folders to remove at the end, relative to the root.</summary>
    public List<string> Trim { get; init; } = [];
}

internal sealed record NpmRecipe
{
    /// <summary>Package with the runtime's binary; its versions are the stack's.</summary>
    public string Runtime { get; init; } = "";

    public string Manager { get; init; } = "";

    /// <summary>Major version of the manager by major version of the runtime.</summary>
    public Dictionary<string, string> Managers { get; init; } = [];
}
