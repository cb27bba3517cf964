using System.Text;
using NanoVms.Agent.Archives;

namespace NanoVms.Agent.Copies;

/// <summary>Makes an archive of a file or a folder of the host, piece by piece. What is neither file, folder nor symbolic link is left out.</summary>
/// <param name="path">Is followed when it is a link; links below it are not.</param>
/// <param name="name">What it is called in the archive.</param>
/// <param name="owner">User and group of all entries.</param>
internal sealed class FolderReader(string path, string name, uint owner, uint group)
{
    private const int Piece = 32 * 1024;

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
        if (!followed && info.LinkTarget is { } link)
        {
            yield return Head(TarKind.SymbolicLink, at, info, 0, link);
        }
        else if (info is DirectoryInfo folder)
        {
            yield return Head(TarKind.Directory, at + "/", info, 0);
            foreach (var child in folder.EnumerateFileSystemInfos().OrderBy(c => c.Name, StringComparer.Ordinal))
            {
                foreach (var piece in Entry(child, $"{at}/{child.Name}"))
                    yield return piece;
            }
        }
        else if (HostFile.IsRegular(info.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? info.FullName))
        {
            foreach (var piece in Content((FileInfo)info, at))
                yield return piece;
        }
    }

    private IEnumerable<ReadOnlyMemory<byte>> Content(FileInfo info, string at)
    {
        using var file = info.OpenRead();
        var size = file.Length;
        yield return Head(TarKind.File, at, info, size);
        for (var left = size; left > 0;)
        {
            var buffer = new byte[Math.Min(left, Piece)];
            var count = file.Read(buffer);
            if (count == 0)
                throw new IOException($"{info.FullName} became shorter while it was copied: copy it again.");
            left -= count;
            yield return buffer.AsMemory(0, count);
        }

        yield return new byte[TarWriter.Padding(size)];
    }

    private ReadOnlyMemory<byte> Head(TarKind kind, string at, FileSystemInfo info, long size, string link = "")
    {
        var mode = kind == TarKind.SymbolicLink ? 0x1FFu : (uint)info.UnixFileMode;
        var modified = new DateTimeOffset(info.LastWriteTimeUtc, TimeSpan.Zero).ToUnixTimeSeconds();
        return TarWriter.Head(new TarEntry(kind, Latin(at), size, mode, owner, group, modified, Latin(link)));
    }

    private static string Latin(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));
}
