using NanoVms.Machines;

namespace NanoVms.Snapshots;

/// <summary>
/// A machine as it was at one moment: memory, devices and writable layer, in a folder that can be moved but not changed. Layers are
/// not in it, and drives that outlive machines are not either: both must be where they were.
/// </summary>
/// <param name="Folder">Absolute.</param>
/// <param name="Spec">Of the machine that was saved.</param>
/// <param name="Driver">The only driver that can restore it.</param>
/// <param name="Parent">The folder beside it that it builds on and cannot be restored without; null when it is whole by itself.</param>
public sealed record MachineSnapshot(string Folder, DateTimeOffset CreatedAt, MachineSpec Spec, string Driver, string? Parent)
{
    /// <summary>Room that it takes on the disk, without the snapshot that it builds on; files are sparse.</summary>
    public long Bytes => Directory.EnumerateFiles(Folder).Sum(SparseSource.AllocatedBytes);

    /// <exception cref="SnapshotException">There is no complete snapshot in the folder. Its files are checked when it is restored.</exception>
    public static MachineSnapshot Read(string folder)
    {
        var manifest = SnapshotManifest.Read(folder);
        return new MachineSnapshot(folder, manifest.CreatedAt, manifest.Spec, manifest.Driver, manifest.ParentFolder(folder));
    }
}
