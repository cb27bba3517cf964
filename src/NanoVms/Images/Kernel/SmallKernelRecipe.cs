using System.Security.Cryptography;
using System.Text;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace NanoVms.Images.Kernel;

/// <summary>How the small guest kernel is built; data, from the folder <c>kernel/</c>.</summary>
internal sealed record SmallKernelRecipe
{
    // Part of the key: raised when the same recipe would be built differently.
    private const string BuilderVersion = "1";
    private const string Prefix = "kernel/";

    private static readonly Lazy<SmallKernelRecipe> Embedded = new(Read);

    public static SmallKernelRecipe Current => Embedded.Value;

    /// <summary>Debian suite that source and compiler are of.</summary>
    public string Suite { get; init; } = "";

    /// <summary>Package that puts <c>/usr/src/SOURCE.tar.xz</c> there.</summary>
    public string Source { get; init; } = "";

    /// <summary>What it takes to compile.</summary>
    public List<string> Packages { get; init; } = [];

    /// <summary>Options that are not off.</summary>
    [YamlIgnore]
    public string Options { get; private init; } = "";

    /// <summary>By name, in the order they are applied.</summary>
    [YamlIgnore]
    public IReadOnlyList<(string Name, string Text)> Patches { get; private init; } = [];

    /// <summary>Changes with everything that decides what the kernel can do, but not with its source's version.</summary>
    [YamlIgnore]
    public string Key { get; private init; } = "";

    private string MakeKey() => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        string.Join('\n', [BuilderVersion, Suite, Source, .. Packages, Options, .. Patches.Select(patch => patch.Text)]))))[..12];

    /// <summary>Those of the wanted options that a configuration does not have so: the kernel's own rules dropped them.</summary>
    /// <param name="configuration">The text of <c>.config</c>.</param>
    public IReadOnlyList<string> Dropped(string configuration)
    {
        var has = configuration.Split('\n').ToHashSet(StringComparer.Ordinal);
        return [.. Options.Split('\n').Where(line => line.StartsWith("CONFIG_", StringComparison.Ordinal) && !has.Contains(line))];
    }

    private static SmallKernelRecipe Read()
    {
        var yaml = new DeserializerBuilder().WithNamingConvention(CamelCaseNamingConvention.Instance).Build();
        var patches = typeof(SmallKernelRecipe).Assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(Prefix + "patches/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);
        var recipe = yaml.Deserialize<SmallKernelRecipe>(Text(Prefix + "recipe.yaml")) with
        {
            Options = Text(Prefix + "config"),
            Patches = [.. patches.Select(name => (Path.GetFileName(name), Text(name)))],
        };
        return recipe with { Key = recipe.MakeKey() };
    }

    private static string Text(string resource)
    {
        using var reader = new StreamReader(typeof(SmallKernelRecipe).Assembly.GetManifestResourceStream(resource)!);
        return reader.ReadToEnd();
    }
}
