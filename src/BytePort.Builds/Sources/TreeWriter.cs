using System.Buffers;

namespace BytePort.Builds.Sources;

/// <summary>What <see cref="TreeWriter"/> lets through beyond its paths.</summary>
internal sealed record TreeRules
{
    public SourceLimits Limits { get; init; } = new();

    /// <summary>Two entries whose names differ only in case are refused.</summary>
    public bool RefuseCaseCollisions { get; init; } = true;

    /// <summary>Links must stay inside. Only a tree whose links nobody on the host follows may do without.</summary>
    public bool LinksStayInside { get; init; } = true;
}

/// <summary>
/// Writes entries from outside into a folder of its own. Every path is checked, every byte counted as it comes, every
/// parent is a folder that this writer made (never a link), and links are made last, once all of them are known to
/// stay inside.
/// </summary>
internal sealed class TreeWriter(string root, TreeRules rules)
{
    private const UnixFileMode FileMode644 =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private const UnixFileMode FileMode755 =
        FileMode644 | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private readonly SourceLimits _limits = rules.Limits;
    private readonly Dictionary<string, EntryKind> _entries = new(StringComparer.Ordinal) { [""] = EntryKind.Folder };
    private readonly Dictionary<string, string> _byFoldedCase = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, string> _links = new(StringComparer.Ordinal);
    private long _bytes;

    private enum EntryKind
    {
        Folder,
        File,
        Link,
    }

    public int Count => _entries.Count - 1;

    public long Bytes => _bytes;

    public void AddFolder(string name)
    {
        var path = EntryPath.Normalize(name, _limits);
        if (_entries.TryGetValue(path, out var kind) && kind == EntryKind.Folder)
            return;
        Claim(path, EntryKind.Folder);
        Directory.CreateDirectory(Full(path), FileMode755);
    }

    /// <summary>Writes a file; the content is read to its end.</summary>
    public async Task AddFileAsync(string name, bool executable, Stream content, CancellationToken cancellationToken)
    {
        var path = EntryPath.Normalize(name, _limits);
        Claim(path, EntryKind.File);
        await using var file = new FileStream(Full(path), new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = executable ? FileMode755 : FileMode644,
            BufferSize = 0,
        });
        // Only what is read counts: an archive's own word on sizes is worth nothing.
        var buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            int read;
            while ((read = await content.ReadAsync(buffer, cancellationToken)) > 0)
            {
                CountBytes(read, path);
                file.Write(buffer, 0, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public void AddLink(string name, string target)
    {
        var path = EntryPath.Normalize(name, _limits);
        if (target.Length > _limits.MaxPathBytes)
            throw Refuse(name, $"its target is longer than {_limits.MaxPathBytes} bytes");
        Claim(path, EntryKind.Link);
        _links[path] = target;
    }

    /// <summary>A second name for a file that came before, written as a copy (and counted as one).</summary>
    public async Task AddHardLinkAsync(string name, string target, CancellationToken cancellationToken)
    {
        string existing;
        try
        {
            existing = EntryPath.Normalize(target, _limits);
        }
        catch (SourceException e)
        {
            throw Refuse(name, $"it is a hard link to '{EntryPath.Printable(target)}', which is outside of the source", e);
        }

        if (!_entries.TryGetValue(existing, out var kind) || kind != EntryKind.File)
            throw Refuse(name, $"it is a hard link to '{EntryPath.Printable(target)}', which is no file that came before it");
        await using var content = new FileStream(Full(existing), FileMode.Open, FileAccess.Read, FileShare.Read, 0);
        var executable = (File.GetUnixFileMode(content.SafeFileHandle) & UnixFileMode.UserExecute) != 0;
        await AddFileAsync(name, executable, content, cancellationToken);
    }

    /// <summary>Checks all links together, then makes them.</summary>
    public void Complete()
    {
        foreach (var (path, target) in _links)
        {
            var problem = rules.LinksStayInside ? LinkRules.Problem(path, _links) : target.Contains('\0', StringComparison.Ordinal) || target.Length == 0 ? "its target is malformed" : null;
            if (problem is not null)
                throw Refuse(path, $"it is a link, and {problem}");
        }

        foreach (var (path, target) in _links)
            File.CreateSymbolicLink(Full(path), target);
    }

    private void Claim(string path, EntryKind kind)
    {
        if (path.Length == 0)
            throw Refuse(".", "it stands for the root, which is a folder");
        if (_entries.TryGetValue(path, out var existing))
            throw Refuse(path, existing == EntryKind.Folder ? "it is a folder already" : "it occurs twice");

        // Folders above that the archive does not list are made here; none of them may be a file or a link.
        for (var slash = path.IndexOf('/', StringComparison.Ordinal); slash >= 0; slash = path.IndexOf('/', slash + 1))
        {
            var folder = path[..slash];
            if (!_entries.TryGetValue(folder, out var above))
            {
                Register(folder, EntryKind.Folder);
                Directory.CreateDirectory(Full(folder), FileMode755);
            }
            else if (above != EntryKind.Folder)
            {
                throw Refuse(path, $"'{EntryPath.Printable(folder)}' above it is a {(above == EntryKind.Link ? "link" : "file")}");
            }
        }

        Register(path, kind);
    }

    private void Register(string path, EntryKind kind)
    {
        if (Count >= _limits.MaxFiles)
            throw new SourceException(
                SourceErrors.TooManyFiles,
                $"The source has more than {_limits.MaxFiles:N0} files and folders (the limit was passed at '{EntryPath.Printable(path)}'). Leave out what is not source, such as node_modules.");
        if (rules.RefuseCaseCollisions && !_byFoldedCase.TryAdd(path, path))
            throw Refuse(path, $"it differs from '{EntryPath.Printable(_byFoldedCase[path])}' only in case");
        _entries.Add(path, kind);
    }

    private void CountBytes(int read, string path)
    {
        _bytes += read;
        if (_bytes > _limits.MaxBytes)
            throw new SourceException(
                SourceErrors.TooLarge,
                $"The source is larger than {_limits.MaxBytes / 1024 / 1024:N0} MiB unpacked (the limit was passed in '{EntryPath.Printable(path)}').");
    }

    private string Full(string path) => Path.Combine(root, path);

    private static SourceException Refuse(string name, string reason, Exception? inner = null) =>
        new(SourceErrors.BadEntry, $"The entry '{EntryPath.Printable(name)}' is refused: {reason}.", inner);
}
