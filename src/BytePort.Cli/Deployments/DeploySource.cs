using System.Text.RegularExpressions;
using BytePort.Cli.Projects;
using BytePort.Cli.Terminal;
using BytePort.Manifest;

namespace BytePort.Cli.Deployments;

/// <summary>What is deployed, told apart by how it is written.</summary>
internal abstract partial record DeploySource
{
    public static DeploySource Parse(string text, string? reference, string folder)
    {
        if (text.Contains("://", StringComparison.Ordinal) || Scp().IsMatch(text))
            return ParseGit(text, reference);
        if (reference is not null)
            throw new CliException(ExitCode.Usage, "--ref names a branch, tag or commit of a Git URL; a folder or archive has none.");

        var path = Path.GetFullPath(text, folder);
        if (Directory.Exists(path))
            return new FolderSource(path);
        if (!File.Exists(path))
            throw new CliException(ExitCode.Usage, $"{text} is no folder, archive or Git URL. Is the path right?");
        return ArchiveSource.IsArchive(path)
            ? new ArchiveSource(path)
            : throw new CliException(ExitCode.Usage, $"{text} is neither a zip nor a tar.gz (by its first bytes). Deploy a folder, an archive, or a Git URL.");
    }

    /// <summary>The project's name when none is given.</summary>
    public abstract Task<string> GetNameAsync(CancellationToken cancellationToken);

    private static GitSource ParseGit(string text, string? reference)
    {
        // scp's short form, as Git hosts show it.
        var url = Scp().Match(text) is { Success: true } scp ? $"ssh://{scp.Groups[1].Value}/{scp.Groups[2].Value}" : text;
        if (!Uri.TryCreate(url, UriKind.Absolute, out var parsed) || parsed.Scheme is not ("http" or "https" or "ssh") || parsed.Host.Length == 0)
            throw new CliException(ExitCode.Usage, $"\"{text}\" is not a Git URL that BytePort fetches: only http, https and ssh.");
        return new GitSource(url, reference);
    }

    [GeneratedRegex(@"^([A-Za-z0-9._-]+@[A-Za-z0-9.-]+):(?!//)(.+)$")]
    private static partial Regex Scp();
}

internal sealed record FolderSource(string Path) : DeploySource
{
    public override async Task<string> GetNameAsync(CancellationToken cancellationToken)
    {
        // A broken manifest is shown before anything is sent.
        if (await ManifestReader.ReadFolderAsync(Path, cancellationToken) is { Errors: { Count: > 0 } errors })
            throw new CliException(ExitCode.Failed, $"The manifest has {(errors.Count == 1 ? "an error" : $"{errors.Count} errors")}:\n{string.Join('\n', errors)}");
        return await ProjectName.OfFolderAsync(Path, cancellationToken);
    }
}

internal sealed record ArchiveSource(string Path) : DeploySource
{
    public static bool IsArchive(string path)
    {
        Span<byte> start = stackalloc byte[4];
        using var stream = File.OpenRead(path);
        var length = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        return start[..length].StartsWith("PK\u0003\u0004"u8) || start[..length].StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b]);
    }

    public override Task<string> GetNameAsync(CancellationToken cancellationToken) =>
        Task.FromResult(ProjectName.Normalize(System.IO.Path.GetFileName(Path).Split('.')[0]));
}

internal sealed record GitSource(string Url, string? Ref) : DeploySource
{
    public override Task<string> GetNameAsync(CancellationToken cancellationToken)
    {
        var last = new Uri(Url).AbsolutePath.TrimEnd('/').Split('/')[^1];
        return Task.FromResult(ProjectName.Normalize(last.EndsWith(".git", StringComparison.Ordinal) ? last[..^4] : last));
    }
}
