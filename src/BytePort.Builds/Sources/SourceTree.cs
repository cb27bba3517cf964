using System.Security.Cryptography;
using System.Text;

namespace BytePort.Builds.Sources;

/// <summary>What a folder holds, measured and digested from the disk.</summary>
internal sealed record SourceTree(string Digest, int Files, long Size)
{
    private const UnixFileMode Executable = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <summary>
    /// Walks a folder without following links. The digest is SHA-256 over one line an entry, ordered by path:
    /// <c>path NUL kind NUL hash-or-target LF</c>, kind being d, f, x (executable file) or l. Times and owners do not count.
    /// </summary>
    /// <exception cref="SourceException">An entry, a link or the whole goes past the rules.</exception>
    public static async Task<SourceTree> ScanAsync(string folder, SourceLimits limits, CancellationToken cancellationToken)
    {
        var entries = new List<(string Path, FileSystemInfo Info)>();
        long size = 0;
        Walk(new DirectoryInfo(folder), "");
        entries.Sort((a, b) => string.CompareOrdinal(a.Path, b.Path));
        CheckLinks(entries);

        var lines = new string[entries.Count];
        await Parallel.ForAsync(0, entries.Count, cancellationToken, async (i, token) =>
            lines[i] = await DescribeAsync(entries[i].Path, entries[i].Info, token));
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var line in lines)
            hash.AppendData(Encoding.UTF8.GetBytes(line));
        return new SourceTree(
            Convert.ToHexStringLower(hash.GetHashAndReset()), entries.Count(entry => entry.Info is FileInfo), size);

        void Walk(DirectoryInfo directory, string prefix)
        {
            foreach (var info in directory.EnumerateFileSystemInfos())
            {
                cancellationToken.ThrowIfCancellationRequested();
                var path = EntryPath.Normalize(prefix + info.Name, limits);
                entries.Add((path, info));
                if (entries.Count > limits.MaxFiles)
                    throw new SourceException(SourceErrors.TooManyFiles, $"The source has more than {limits.MaxFiles:N0} files and folders.");
                if (info.LinkTarget is not null)
                    continue;
                if (info is DirectoryInfo below)
                    Walk(below, path + "/");
                else if ((size += ((FileInfo)info).Length) > limits.MaxBytes)
                    throw new SourceException(SourceErrors.TooLarge, $"The source is larger than {limits.MaxBytes / 1024 / 1024:N0} MiB.");
            }
        }
    }

    private static void CheckLinks(List<(string Path, FileSystemInfo Info)> entries)
    {
        var links = entries.Where(entry => entry.Info.LinkTarget is not null).ToDictionary(entry => entry.Path, entry => entry.Info.LinkTarget!);
        foreach (var path in links.Keys)
            if (LinkRules.Problem(path, links) is { } problem)
                throw new SourceException(SourceErrors.BadEntry, $"The entry '{EntryPath.Printable(path)}' is refused: it is a link, and {problem}.");
    }

    private static async Task<string> DescribeAsync(string path, FileSystemInfo info, CancellationToken cancellationToken)
    {
        if (info.LinkTarget is { } target)
            return $"{path}\0l\0{target}\n";
        if (info is DirectoryInfo)
            return $"{path}\0d\0\n";
        await using var content = new FileStream(info.FullName, FileMode.Open, FileAccess.Read, FileShare.Read, 0);
        var digest = Convert.ToHexStringLower(await SHA256.HashDataAsync(content, cancellationToken));
        return $"{path}\0{((info.UnixFileMode & Executable) != 0 ? 'x' : 'f')}\0{digest}\n";
    }
}
