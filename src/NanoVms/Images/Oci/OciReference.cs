using System.Text.RegularExpressions;

namespace NanoVms.Images.Oci;

/// <summary>
/// The name of an image in a registry, completed: <c>alpine</c> is <c>docker.io/library/alpine:latest</c>
/// (the grammar is that of the distribution specification's references).
/// </summary>
/// <param name="Registry">Host, with a port where there is one.</param>
/// <param name="Tag">Null when only a digest was given.</param>
/// <param name="Digest"><c>sha256:</c> and 64 hexadecimal digits: the same image for ever. Null for a tag, which may move.</param>
public sealed partial record OciReference(string Registry, string Repository, string? Tag, string? Digest)
{
    private const string DefaultRegistry = "docker.io";
    private const int MaxLength = 500;

    /// <summary>True when the registry is on this computer.</summary>
    public bool IsLocal => Registry.Split(':')[0] is "localhost" or "127.0.0.1";

    /// <exception cref="ImageException">It is no reference.</exception>
    public static OciReference Parse(string text) => TryParse(text)
        ?? throw new ImageException($"'{text}' is no image reference. Write one as alpine, ghcr.io/owner/app:1.2 or docker.io/library/alpine@sha256:….") { Fault = ImageFault.Invalid };

    /// <returns>Null when it is no reference.</returns>
    public static OciReference? TryParse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length <= MaxLength && Pattern().Match(text) is { Success: true } match)
        {
            var path = match.Groups["path"].Value.Split('/', 2);
            // The first part is a host when it looks like one; else it is part of the name.
            var hasHost = path.Length == 2 && (path[0].Contains('.', StringComparison.Ordinal) || path[0].Contains(':', StringComparison.Ordinal) || path[0] == "localhost");
            var (registry, repository) = hasHost ? (path[0], path[1]) : (DefaultRegistry, match.Groups["path"].Value);
            var digest = match.Groups["digest"] is { Success: true } found ? found.Value : null;
            var tag = match.Groups["tag"] is { Success: true } given ? given.Value : digest is null ? "latest" : null;
            if (registry == DefaultRegistry && !repository.Contains('/', StringComparison.Ordinal))
                repository = "library/" + repository;
            if (!repository.Contains(':', StringComparison.Ordinal) && !repository.Any(char.IsAsciiLetterUpper))
                return new OciReference(registry, repository, tag, digest);
        }

        return null;
    }

    /// <summary>As skopeo takes it; a tag beside a digest says nothing and is left out.</summary>
    public override string ToString() => $"{Registry}/{Repository}{(Digest is null ? $":{Tag}" : $"@{Digest}")}";

    [GeneratedRegex(
        @"^(?<path>(?:[a-zA-Z0-9.-]+(?::[0-9]{1,5})?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?<digest>sha256:[a-f0-9]{64}))?\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Pattern();
}
