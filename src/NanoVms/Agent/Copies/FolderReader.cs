using NanoVms.Agent.Archives;

namespace NanoVms.Agent.Copies;

/// <summary>Makes an archive of a file or a folder of the host, piece by piece. What is neither file, folder nor symbolic link is left out.</summary>
/// <param name="path">Is followed when it is a link; links below it are not.</param>
/// <param name="name">What it is called in the archive.</param>
/// <param name="owner">User and group of all entries.</param>
internal sealed class FolderReader(string path, string name, uint owner, uint group)
{
    /// <exception cref="IOException">Something cannot be read, or changed its size meanwhile.</exception>
    public IEnumerable<ReadOnlyMemory<byte>> Read()
    {
        FileSystemInfo top = Directory.Exists(path) ? new DirectoryInfo(path) : new FileInfo(path);
        if (!top.Exists)
            throw new FileNotFoundException($"There is no file or folder {path}.", path);
        return Entry(top, name, followed: true).Append(TarWriter.End);
    }

    private IEnumerable<ReadOnlyMemory<byte>> Entry(FileSystemInfo info, string at, bool followed = false)
    {
        var entry = new ArchiveEntry(info, at, info.UnixFileMode, owner, group);
        if (!followed && info.LinkTarget is { } link)
        {
            yield return entry.SymbolicLink(link);
        }
        else if (info is DirectoryInfo folder)
        {
            yield return (entry with { At = at + "/" }).Folder();
            foreach (var child in folder.EnumerateFileSystemInfos().OrderBy(c => c.Name, StringComparer.Ordinal))
            {
                foreach (var piece in Entry(child, $"{at}/{child.Name}"))
                    yield return piece;
            }
        }
        else if (HostFile.IsRegular(info.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? info.FullName))
        {
            foreach (var piece in entry.File())
                yield return piece;
        }
    }
}
