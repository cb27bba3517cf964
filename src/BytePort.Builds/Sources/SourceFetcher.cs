using BytePort.Builds.Logs;
using NanoVms.Commands;

namespace BytePort.Builds.Sources;

/// <summary>Brings source into a folder.</summary>
public sealed class SourceFetcher(SourceLimits? limits = null)
{
    public SourceLimits Limits { get; } = limits ?? new SourceLimits();

    /// <summary>
    /// Fetches, checks and digests. An archive whose only top-level entry is a folder (as GitHub packs them, and as
    /// people do who pack a folder rather than its content) gives that folder's content.
    /// </summary>
    /// <param name="destination">Absolute path of a folder that is made; it must not exist or be empty. On failure it is gone.</param>
    /// <exception cref="SourceException">Refused or unobtainable; see its code.</exception>
    public async Task<FetchedSource> FetchAsync(SourceSpec source, string destination, BuildLog log, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(log);
        if (Directory.Exists(destination) && Directory.EnumerateFileSystemEntries(destination).Any())
            throw new ArgumentException($"The folder '{destination}' is not empty.", nameof(destination));

        // Everything grows under another name; the destination appears whole or not at all.
        var aside = destination.TrimEnd('/') + ".partial-" + Guid.NewGuid().ToString("N")[..8];
        Directory.CreateDirectory(aside);
        using var timeUp = new CancellationTokenSource(Limits.MaxTime);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(timeUp.Token, cancellationToken);
        try
        {
            var fetched = source switch
            {
                GitSource git => await GitFetcher.FetchAsync(git, aside, Limits, log, stop.Token),
                ArchiveSource archive => await UnpackAsync(archive, aside, log, stop.Token),
                _ => throw new ArgumentException($"{source.GetType().Name} is no known kind of source.", nameof(source)),
            };
            if (fetched.Files == 0)
                throw new SourceException(SourceErrors.Empty, "The source holds no file.");
            if (Directory.Exists(destination))
                Directory.Delete(destination);
            Directory.Move(fetched.Directory, destination);
            log.Write($"{fetched.Files:N0} {(fetched.Files == 1 ? "file" : "files")}, {Size(fetched.Size)}.");
            return fetched with { Directory = destination };
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SourceException(
                SourceErrors.TimedOut, $"The source was not here within {Limits.MaxTime.TotalMinutes:0.#} minutes.", e);
        }
        catch (CommandException e)
        {
            throw new SourceException(SourceErrors.GitFailed, e.Message, e);
        }
        finally
        {
            if (Directory.Exists(aside))
                Directory.Delete(aside, recursive: true);
        }
    }

    private async Task<FetchedSource> UnpackAsync(ArchiveSource archive, string aside, BuildLog log, CancellationToken cancellationToken)
    {
        log.Write($"Unpacking {Size(new FileInfo(archive.Path).Length)}.");
        var folder = Directory.CreateDirectory(Path.Combine(aside, "tree")).FullName;
        await ArchiveExtractor.ExtractAsync(archive.Path, folder, new TreeRules { Limits = Limits }, log, cancellationToken);
        var entries = new DirectoryInfo(folder).GetFileSystemInfos();
        if (entries is [DirectoryInfo { LinkTarget: null } only])
        {
            log.Write($"The archive holds one folder, '{only.Name}': its content is the source.");
            folder = only.FullName;
        }

        // Scanned again from the disk: a link that stayed inside the archive may leave the folder that was unwrapped.
        var tree = await SourceTree.ScanAsync(folder, Limits, cancellationToken);
        return new FetchedSource(folder, tree.Digest) { Files = tree.Files, Size = tree.Size };
    }

    private static string Size(long bytes) => bytes < 1024 * 1024 ? $"{bytes / 1024.0:0.#} KiB" : $"{bytes / 1024.0 / 1024.0:0.#} MiB";
}
