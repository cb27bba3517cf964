using BytePort.Builds.Logs;
using NanoVms.Commands;

namespace BytePort.Builds.Sources;

/// <summary>
/// Fetches one commit of a Git repository into a folder without a repository of its own.
/// </summary>
/// <remarks>
/// 1. Ask the remote what the name stands for. 2. Fetch that commit alone, or everything when the server will not give a
/// commit by its id, with an eye on the size. 3. List the commit's files and check names, kinds, number and sizes before
/// any is written (a tree of trees may name billions). 4. Check out. 5. Check links and digest, from the disk.
/// </remarks>
internal sealed class GitFetcher
{
    private const int MaxMessage = 4000;

    // Git's own data beside the files: with a history it may be larger than they are.
    private const int MaxGitFactor = 2;

    private static readonly TimeSpan WatchInterval = TimeSpan.FromMilliseconds(200);

    private readonly GitSource _source;
    private readonly string _gitFolder;
    private readonly SourceLimits _limits;
    private readonly BuildLog _log;
    private readonly GitCommands _git;
    private readonly List<string> _lastLines = [];

    private GitFetcher(GitSource source, string gitFolder, SourceLimits limits, BuildLog log)
    {
        (_source, _gitFolder, _limits, _log) = (source, gitFolder, limits, log);
        _git = new GitCommands(gitFolder, source.Url, limits.MaxTime);
    }

    public static async Task<FetchedSource> FetchAsync(
        GitSource source, string aside, SourceLimits limits, BuildLog log, CancellationToken cancellationToken)
    {
        GitUrl.Check(source.Url);
        if (source.Ref is not null)
            GitUrl.CheckRef(source.Ref);
        var fetcher = new GitFetcher(source, Path.Combine(aside, "git"), limits, log);
        return await fetcher.RunAsync(Path.Combine(aside, "tree"), cancellationToken);
    }

    private async Task<FetchedSource> RunAsync(string folder, CancellationToken cancellationToken)
    {
        _log.Write($"Fetching {_source}.");
        await CommandRunner.RunCheckedAsync(_git.Init(), cancellationToken);

        // 1.
        var (remoteRef, branch) = await ResolveAsync(cancellationToken);

        // 2.
        string commit;
        if (remoteRef is not null)
        {
            await RunWatchedAsync(_git.FetchOne(remoteRef), cancellationToken);
            commit = await RequireCommitAsync("FETCH_HEAD", cancellationToken);
        }
        else
        {
            commit = await FetchCommitAsync(_source.Ref!, cancellationToken);
        }

        var message = (await CommandRunner.RunCheckedAsync(_git.Message(commit), cancellationToken)).StandardOutput.Trim();
        var title = message.Split('\n')[0];
        _log.Write($"Commit {commit[..10]}{(branch is null ? "" : $" on {branch}")}: {EntryPath.Printable(title)}");

        // 3.
        await CheckFilesAsync(commit, cancellationToken);

        // 4.
        Directory.CreateDirectory(folder);
        await RunWatchedAsync(_git.Checkout(commit, folder), cancellationToken);

        // 5.
        var tree = await SourceTree.ScanAsync(folder, _limits, cancellationToken);
        return new FetchedSource(folder, tree.Digest, commit, message.Length > MaxMessage ? message[..MaxMessage] : message, branch)
        {
            Files = tree.Files,
            Size = tree.Size,
        };
    }

    /// <summary>The full ref to fetch and the branch it is; a null ref when the name can only be a commit.</summary>
    private async Task<(string? Ref, string? Branch)> ResolveAsync(CancellationToken cancellationToken)
    {
        var name = _source.Ref;
        string[] patterns = name is null ? ["HEAD"] : [$"refs/heads/{name}", $"refs/tags/{name}"];
        var result = await CommandRunner.RunAsync(_git.ListRemote(patterns), cancellationToken);
        if (!result.Succeeded)
            throw Failure(result.StandardError.Split('\n'));

        var lines = result.StandardOutput.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (name is null)
        {
            const string Symbolic = "ref: refs/heads/";
            var head = lines.FirstOrDefault(line => line.StartsWith(Symbolic, StringComparison.Ordinal));
            if (!lines.Any(line => line.EndsWith("\tHEAD", StringComparison.Ordinal) && !line.StartsWith("ref:", StringComparison.Ordinal)))
                throw new SourceException(SourceErrors.Empty, $"The repository {_source.DisplayUrl} has no commit on its default branch. Push one, or name a branch.");
            return ("HEAD", head?[Symbolic.Length..].Split('\t')[0]);
        }

        if (lines.Any(line => line.EndsWith($"\trefs/heads/{name}", StringComparison.Ordinal)))
            return ($"refs/heads/{name}", name);
        if (lines.Any(line => line.EndsWith($"\trefs/tags/{name}", StringComparison.Ordinal)))
            return ($"refs/tags/{name}", null);
        if (name.Length is >= 7 and <= 64 && name.All(char.IsAsciiHexDigit))
            return (null, null);
        throw new SourceException(SourceErrors.BadRef, $"The repository {_source.DisplayUrl} has no branch or tag '{name}'.");
    }

    private async Task<string> FetchCommitAsync(string commit, CancellationToken cancellationToken)
    {
        if (commit.Length is 40 or 64 && await TryRunWatchedAsync(_git.FetchOne(commit), cancellationToken))
            return await RequireCommitAsync("FETCH_HEAD", cancellationToken);
        _log.Write($"The server does not give {commit[..7]} by its id: fetching the whole history.");
        await RunWatchedAsync(_git.FetchAll(), cancellationToken);
        return await RequireCommitAsync(commit, cancellationToken);
    }

    private async Task<string> RequireCommitAsync(string name, CancellationToken cancellationToken)
    {
        var result = await CommandRunner.RunAsync(_git.Resolve(name), cancellationToken);
        return result.Succeeded
            ? result.StandardOutput.Trim()
            : throw new SourceException(SourceErrors.BadRef, $"The repository {_source.DisplayUrl} has no commit '{_source.Ref}' on any branch or tag.");
    }

    private async Task CheckFilesAsync(string commit, CancellationToken cancellationToken)
    {
        var check = new GitTreeCheck(_limits, _log);
        _lastLines.Clear();
        var exitCode = await CommandRunner.StreamAsync(
            _git.ListTree(commit),
            (stream, line) =>
            {
                if (stream == "stdout")
                    check.Add(line);
                else
                    KeepLine(line);
            },
            cancellationToken);
        if (exitCode != 0)
            throw Failure(_lastLines);
    }

    private async Task RunWatchedAsync(Command command, CancellationToken cancellationToken)
    {
        if (!await TryRunWatchedAsync(command, cancellationToken))
            throw Failure(_lastLines);
    }

    private async Task<bool> TryRunWatchedAsync(Command command, CancellationToken cancellationToken)
    {
        _lastLines.Clear();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watch = WatchSizeAsync(stop);
        bool tooLarge;
        int exitCode;
        try
        {
            exitCode = await CommandRunner.StreamAsync(command, (_, line) => Report(line), stop.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            exitCode = -1;
        }
        finally
        {
            await stop.CancelAsync();
            tooLarge = await watch;
        }

        return tooLarge
            ? throw new SourceException(
                SourceErrors.TooLarge, $"The repository {_source.DisplayUrl} is larger than {_limits.MaxBytes / 1024 / 1024:N0} MiB allow for.")
            : exitCode == 0;
    }

    /// <summary>True when git wrote too much; it is stopped then.</summary>
    private async Task<bool> WatchSizeAsync(CancellationTokenSource stop)
    {
        while (true)
        {
            try
            {
                await Task.Delay(WatchInterval, stop.Token);
            }
            catch (OperationCanceledException)
            {
                return false;
            }

            if (FolderSize(_gitFolder) > _limits.MaxBytes * MaxGitFactor)
            {
                await stop.CancelAsync();
                return true;
            }
        }
    }

    private static long FolderSize(string folder)
    {
        long size = 0;
        try
        {
            foreach (var file in new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories))
                size += file.Exists ? file.Length : 0;
        }
        catch (IOException)
        {
            // Git renames its files as it goes: the next look counts them.
        }

        return size;
    }

    /// <summary>Progress comes many times a second; one line a phase is enough.</summary>
    private void Report(string line)
    {
        line = line.TrimEnd();
        if (line.Length == 0 || (line.Contains('%', StringComparison.Ordinal) && !line.Contains("done", StringComparison.Ordinal)))
            return;
        KeepLine(line);
        if (!line.StartsWith("From ", StringComparison.Ordinal) && !line.StartsWith(" * ", StringComparison.Ordinal))
            _log.WriteOutput(line);
    }

    private void KeepLine(string line)
    {
        _lastLines.Add(line);
        if (_lastLines.Count > 20)
            _lastLines.RemoveAt(0);
    }

    private SourceException Failure(IEnumerable<string> lines)
    {
        var text = string.Join('\n', lines.Where(line => line.Length > 0).TakeLast(5));
        var url = _source.DisplayUrl;
        return text switch
        {
            _ when Has("not found") || Has("does not appear to be a git repository") || Has("The requested URL returned error: 404") =>
                new(SourceErrors.NotFound, $"There is no repository at {url}, or it is private. Check the URL; for a private one give credentials."),
            _ when Has("could not read Username") || Has("Authentication failed") || Has("Permission denied") || Has("error: 401") || Has("error: 403") || Has("terminal prompts disabled") =>
                new(SourceErrors.NotFound, $"The repository {url} asks for credentials, or refuses those given."),
            _ when Has("Could not resolve host") || Has("unable to access") || Has("Connection refused") || Has("Could not read from remote") =>
                new(SourceErrors.Unreachable, $"The repository {url} cannot be reached: {text}"),
            _ => new(SourceErrors.GitFailed, $"git could not fetch {url}: {text}"),
        };

        bool Has(string part) => text.Contains(part, StringComparison.OrdinalIgnoreCase);
    }
}
