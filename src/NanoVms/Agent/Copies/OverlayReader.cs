using NanoVms.Agent.Archives;
using NanoVms.Machines;

namespace NanoVms.Agent.Copies;

/// <summary>
/// Makes an archive that lays a folder's files over another folder: without entries for the folders between, so that those that are there
/// keep their owners and modes. All belongs to root.
/// </summary>
internal sealed class OverlayReader(SetupFolder folder)
{
    /// <exception cref="IOException">Something cannot be read, or changed its size meanwhile.</exception>
    public IEnumerable<ReadOnlyMemory<byte>> Read() =>
        Children(new DirectoryInfo(folder.HostPath), "").Append(TarWriter.End);

    private IEnumerable<ReadOnlyMemory<byte>> Children(DirectoryInfo at, string prefix) =>
        at.EnumerateFileSystemInfos().OrderBy(child => child.Name, StringComparer.Ordinal).SelectMany(child => Entry(child, prefix + child.Name));

    private IEnumerable<ReadOnlyMemory<byte>> Entry(FileSystemInfo info, string path)
    {
        var entry = new ArchiveEntry(info, path, folder.Modes.GetValueOrDefault(path, info.UnixFileMode));
        if (info.LinkTarget is { } link)
            return [entry.SymbolicLink(link)];
        if (info is DirectoryInfo directory)
        {
            // An empty one would not come to be otherwise.
            var listed = folder.Modes.ContainsKey(path) || !directory.EnumerateFileSystemInfos().Any();
            return listed ? Children(directory, path + "/").Prepend(entry.Folder()) : Children(directory, path + "/");
        }

        return HostFile.IsRegular(info.FullName) ? entry.File() : [];
    }
}
