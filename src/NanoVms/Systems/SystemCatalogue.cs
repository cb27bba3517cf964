using System.Text.RegularExpressions;
using NanoVms.Images;
using NanoVms.Images.Oci;
using YamlDotNet.Core;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace NanoVms.Systems;

/// <summary>Reads the catalogue: what comes with NanoVMS, and above it what the computer's operator adds or replaces.</summary>
internal static partial class SystemCatalogue
{
    private const int MaxBytes = 256 * 1024;

    private static readonly IDeserializer Yaml = new DeserializerBuilder().WithNamingConvention(CamelCaseNamingConvention.Instance).Build();

    private static readonly Lazy<IReadOnlyList<SystemEntry>> Own = new(() =>
    {
        using var reader = new StreamReader(typeof(SystemCatalogue).Assembly.GetManifestResourceStream("systems.yaml")!);
        return Parse(reader.ReadToEnd(), "systems.yaml");
    });

    /// <param name="file">The operator's file; it may be missing.</param>
    /// <exception cref="ImageException">The file is wrong; all of its errors are named.</exception>
    public static IReadOnlyList<SystemEntry> Read(string? file)
    {
        var entries = Own.Value.ToDictionary(entry => entry.Name);
        if (file is not null && File.Exists(file))
        {
            if (new FileInfo(file).Length > MaxBytes)
                throw new ImageException($"{file} is larger than {MaxBytes / 1024} KiB.");
            foreach (var entry in Parse(File.ReadAllText(file), file))
                entries[entry.Name] = entry;
        }

        return [.. entries.Values.OrderBy(entry => entry.Name, StringComparer.Ordinal)];
    }

    internal static IReadOnlyList<SystemEntry> Parse(string text, string file)
    {
        List<SystemEntry> entries;
        try
        {
            entries = Yaml.Deserialize<List<SystemEntry>>(text) ?? [];
        }
        catch (YamlException e)
        {
            throw new ImageException($"{file}:{e.Start.Line}: {e.InnerException?.Message ?? e.Message}", e);
        }

        var errors = entries.SelectMany(FindErrors).Concat(entries.GroupBy(entry => entry.Name).Where(group => group.Count() > 1).Select(group => $"'{group.Key}' is there twice.")).ToList();
        return errors.Count == 0 ? entries : throw new ImageException($"{file} is wrong: {string.Join(' ', errors)}");
    }

    private static IEnumerable<string> FindErrors(SystemEntry entry)
    {
        if (!NamePattern().IsMatch(entry.Name) || entry.Name.Length > 60)
            yield return $"The name '{entry.Name}' is not letters a-z and digits with '-' and '.' between them.";
        if (new object?[] { entry.Apt, entry.Archive, entry.Registry }.Count(source => source is not null) != 1)
            yield return $"'{entry.Name}' needs exactly one of apt, archive and registry.";
        if (entry.Archive is { } archive)
        {
            if (!Sha256Pattern().IsMatch(archive.Sha256))
                yield return $"'{entry.Name}' has the sha256 '{archive.Sha256}', which is not 64 hexadecimal digits. An archive without a checksum cannot be verified and is not used.";
            if (!IsHttp(archive.Url))
                yield return $"'{entry.Name}' has the url '{archive.Url}', which is not an http or https address.";
        }

        if (entry.Apt is { } apt)
        {
            if (!WordPattern().IsMatch(apt.Suite) || !apt.Components.Split(' ').All(WordPattern().IsMatch))
                yield return $"'{entry.Name}' has the suite '{apt.Suite}' with the components '{apt.Components}'; they are words.";
            foreach (var mirror in new[] { apt.Mirror, apt.Security }.OfType<string>().Where(mirror => !IsHttp(mirror)))
                yield return $"'{entry.Name}' has the mirror '{mirror}', which is not an http or https address.";
            if (!Path.IsPathRooted(apt.Keyring) || apt.Keyring.Any(c => char.IsWhiteSpace(c) || c is '[' or ']'))
                yield return $"'{entry.Name}' needs the absolute path of a keyring; its packages cannot be verified without.";
        }

        if (entry.Registry is { } registry && !IsReference(registry.Image))
            yield return $"'{entry.Name}' has the image '{registry.Image}', which is no reference.";
    }

    private static bool IsReference(string text)
    {
        try
        {
            _ = OciReference.Parse(text);
            return true;
        }
        catch (ImageException)
        {
            return false;
        }
    }

    private static bool IsHttp(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps) && !text.Any(c => char.IsWhiteSpace(c) || char.IsControl(c));

    [GeneratedRegex("^[a-z0-9]+([.-][a-z0-9]+)*\\z")]
    private static partial Regex NamePattern();

    [GeneratedRegex("^[a-zA-Z0-9][a-zA-Z0-9._/-]*\\z")]
    private static partial Regex WordPattern();

    [GeneratedRegex("^[0-9a-f]{64}\\z")]
    private static partial Regex Sha256Pattern();
}
