using System.Globalization;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Packing;

/// <summary>A file or link to send.</summary>
/// <param name="Path">Relative to the root with <c>/</c> separators.</param>
/// <param name="Length">Bytes; 0 for a link.</param>
/// <param name="LinkTarget">What a symbolic link says; null for a file.</param>
internal sealed record PackedFile(string Path, long Length, string? LinkTarget);

/// <summary>What of a folder is sent: what git would keep, without what .byteportignore names, and never .git.</summary>
internal sealed class PackedFolder
{
    private const int MaxFiles = 50_000;
    private const long MaxBytes = 500L * 1024 * 1024;

    /// <summary>What no build wants from another machine; for folders that git does not know.</summary>
    private const string DefaultRules = "node_modules/\n__pycache__/\n.venv/\n.DS_Store\n";

    private readonly IgnoreRules _own = new();
    private readonly List<PackedFile> _files = [];
    private long _bytes;

    private PackedFolder(string root) => Root = root;

    public string Root { get; }

    /// <summary>Sorted by path.</summary>
    public IReadOnlyList<PackedFile> Files => _files;

    public long Bytes => _bytes;

    /// <exception cref="CliException">Nothing to send, or more than a deployment may have.</exception>
    public static async Task<PackedFolder> ListAsync(string root, CancellationToken cancellationToken)
    {
        var packed = new PackedFolder(Path.GetFullPath(root));
        var ownFile = Path.Combine(root, ".byteportignore");
        if (File.Exists(ownFile))
            packed._own.Add(await File.ReadAllTextAsync(ownFile, cancellationToken), "");

        // A folder that the work tree around it ignores has no files for git: then it is taken as it is.
        if (await GitFiles.ListAsync(packed.Root, cancellationToken) is { Count: > 0 } known)
            await packed.AddKnownAsync("", known, cancellationToken);
        else
            packed.AddFolder("", WithDefaults(), cancellationToken);
        if (packed._files.Count == 0)
            throw new CliException(ExitCode.Failed, $"{packed.Root} has no files to deploy (after .gitignore and .byteportignore).");
        packed._files.Sort((first, second) => string.CompareOrdinal(first.Path, second.Path));
        return packed;
    }

    private static IgnoreRules WithDefaults()
    {
        var rules = new IgnoreRules();
        rules.Add(DefaultRules, "");
        return rules;
    }

    private async Task AddKnownAsync(string folder, IReadOnlyList<string> known, CancellationToken cancellationToken)
    {
        foreach (var name in known)
        {
            var path = folder + name.TrimEnd('/');
            if (IsGit(path) || _own.MatchesWithParents(path))
                continue;
            var info = new FileInfo(Path.Combine(Root, path));
            if (info.LinkTarget is null && Directory.Exists(info.FullName))
            {
                // A submodule or a repository inside the repository.
                if (await GitFiles.ListAsync(info.FullName, cancellationToken) is { Count: > 0 } inner)
                    await AddKnownAsync($"{path}/", inner, cancellationToken);
            }
            else
                Add(path, info);
        }
    }

    private void AddFolder(string folder, IgnoreRules rules, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var absolute = Path.Combine(Root, folder);
        var ignoreFile = Path.Combine(absolute, ".gitignore");
        if (File.Exists(ignoreFile))
            rules.Add(File.ReadAllText(ignoreFile), folder);
        foreach (var entry in new DirectoryInfo(absolute).EnumerateFileSystemInfos())
        {
            var path = folder.Length == 0 ? entry.Name : $"{folder}/{entry.Name}";
            var isFolder = entry is DirectoryInfo && entry.LinkTarget is null;
            if (IsGit(path) || rules.Matches(path, isFolder) || _own.Matches(path, isFolder))
                continue;
            if (isFolder)
                AddFolder(path, rules, cancellationToken);
            else
                Add(path, new FileInfo(entry.FullName));
        }
    }

    private void Add(string path, FileInfo info)
    {
        // Deleted but still tracked, or a socket, pipe or device: nothing that can be sent.
        var isLink = info.LinkTarget is not null;
        if (!isLink && !FileType.IsRegular(info.FullName))
            return;
        var length = isLink ? 0 : info.Length;
        _files.Add(new(path, length, info.LinkTarget));
        _bytes += length;
        if (_files.Count > MaxFiles)
            throw new CliException(ExitCode.Failed, string.Create(CultureInfo.InvariantCulture, $"{Root} has more than {MaxFiles} files; {path} is one too many. Name what is not needed in .byteportignore."));
        if (_bytes > MaxBytes)
            throw new CliException(ExitCode.Failed, $"{Root} is larger than {Age.Bytes(MaxBytes)}; {path} ({Age.Bytes(length)}) is too much. Name what is not needed in .byteportignore.");
    }

    private static bool IsGit(string path) => path == ".git" || path.EndsWith("/.git", StringComparison.Ordinal)
        || path.StartsWith(".git/", StringComparison.Ordinal) || path.Contains("/.git/", StringComparison.Ordinal);
}
