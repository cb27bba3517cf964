using System.Text;
using NanoVms.Agent.Archives;
using NanoVms.Machines;

namespace NanoVms.Agent.Copies;

/// <summary>
/// Makes an archive that lays a folder's files over another folder: without entries for the folders between, so that those that are there
/// keep their owners and modes. All belongs to root.
/// </summary>
internal sealed class OverlayReader(SetupFolder folder)
{
    private const int Piece = 32 * 1024;

    /// <exception cref="IOException">Something cannot be read, or changed its size meanwhile.</exception>
    public IEnumerable<ReadOnlyMemory<byte>> Read() =>
        Children(new DirectoryInfo(folder.HostPath), "").Append(TarWriter.End);

    private IEnumerable<ReadOnlyMemory<byte>> Children(DirectoryInfo at, string prefix) =>
        at.EnumerateFileSystemInfos().OrderBy(child => child.Name, StringComparer.Ordinal).SelectMany(child => Entry(child, prefix + child.Name));

    private IEnumerable<ReadOnlyMemory<byte>> Entry(FileSystemInfo info, string path)
    {
        if (info.LinkTarget is { } link)
            return [Head(TarKind.SymbolicLink, path, info, 0, link)];
        if (info is DirectoryInfo directory)
        {
            // An empty one would not come to be otherwise.
            var listed = folder.Modes.ContainsKey(path) || !directory.EnumerateFileSystemInfos().Any();
            return listed ? Children(directory, path + "/").Prepend(Head(TarKind.Directory, path, info, 0)) : Children(directory, path + "/");
        }

        return HostFile.IsRegular(info.FullName) ? Content((FileInfo)info, path) : [];
    }

    private IEnumerable<ReadOnlyMemory<byte>> Content(FileInfo info, string path)
    {
        using var file = info.OpenRead();
        var size = file.Length;
        yield return Head(TarKind.File, path, info, size);
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

    private ReadOnlyMemory<byte> Head(TarKind kind, string path, FileSystemInfo info, long size, string link = "")
    {
        var mode = kind == TarKind.SymbolicLink ? 0x1FFu : (uint)folder.Modes.GetValueOrDefault(path, info.UnixFileMode);
        var modified = new DateTimeOffset(info.LastWriteTimeUtc, TimeSpan.Zero).ToUnixTimeSeconds();
        return TarWriter.Head(new TarEntry(kind, Latin(path), size, mode, 0, 0, modified, Latin(link)));
    }

    private static string Latin(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));
}
