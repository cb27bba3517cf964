using Microsoft.Win32.SafeHandles;
using NanoVms.Drivers;
using NanoVms.Machines;

namespace NanoVms.Snapshots;

/// <summary>Saves a halted machine into a folder that appears whole or not at all.</summary>
internal static class SnapshotWriter
{
    private const string Aside = ".partial";

    /// <param name="disk">The writable layer's file; null to leave it where it is.</param>
    /// <exception cref="IOException">The folder exists, or the disk is full.</exception>
    /// <exception cref="HypervisorException">The hypervisor refused.</exception>
    /// <exception cref="SnapshotException">The parent is missing, damaged, or not one that this machine can build on.</exception>
    public static async Task WriteAsync(
        string folder, string? parent, string? disk, MachineRecord record, IHypervisor hypervisor, TimeProvider time, CancellationToken cancellationToken)
    {
        if (Directory.Exists(folder))
            throw new IOException($"{folder} is there already; a snapshot is never overwritten.");
        var basis = parent is null ? null : CheckParent(folder, parent, record);
        var aside = folder + Aside;
        // What an earlier attempt left when its process was killed.
        if (Directory.Exists(aside))
            Directory.Delete(aside, recursive: true);
        _ = Directory.CreateDirectory(aside, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        try
        {
            await hypervisor.SaveAsync(aside, parent, cancellationToken);
            var manifest = new SnapshotManifest
            {
                CreatedAt = time.GetUtcNow(),
                Spec = record.Spec,
                Driver = record.Driver,
                Accelerated = record.Accelerated,
                HasMain = record.HasMain,
                DiskSums = await CopyDiskAsync(disk, aside, basis?.DiskSums is null ? null : parent, cancellationToken),
                Parent = parent is null ? null : Path.GetFileName(parent),
                Depth = basis is null ? 0 : basis.Depth + 1,
            };
            manifest.Write(aside);
            Directory.Move(aside, folder);
        }
        catch
        {
            Directory.Delete(aside, recursive: true);
            throw;
        }
    }

    private static SnapshotManifest CheckParent(string folder, string parent, MachineRecord record)
    {
        if (Path.GetDirectoryName(Path.GetFullPath(parent)) != Path.GetDirectoryName(Path.GetFullPath(folder)))
            throw new SnapshotException($"A snapshot lies beside the one that it builds on: {parent} is elsewhere than {folder}.");
        var basis = SnapshotManifest.Read(parent);
        if (basis.Driver != record.Driver || basis.Spec.MemoryMiB != record.Spec.MemoryMiB)
            throw new SnapshotException($"Snapshot {parent} is of a machine with another driver or size of memory; nothing can build on it but its like.");
        return basis.Depth + 1 < SnapshotManifest.MaxDepth
            ? basis
            : throw new SnapshotException($"Snapshot {parent} builds on {basis.Depth} others, the most there may be. Take a whole one.");
    }

    private static async Task<uint[]?> CopyDiskAsync(string? disk, string folder, string? parent, CancellationToken cancellationToken)
    {
        if (!File.Exists(disk))
            return null;
        var copy = Path.Combine(folder, SnapshotManifest.Disk);
        using var source = File.OpenHandle(disk, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var destination = File.OpenHandle(copy, FileMode.CreateNew, FileAccess.ReadWrite);
        var sums = await CopyAsync(new SparseSource(source), destination, copy, parent, SnapshotManifest.Disk, cancellationToken);
        RandomAccess.FlushToDisk(destination);
        return sums;
    }

    /// <summary>Copies a file into a snapshot, without what the parent's file of the same name has.</summary>
    /// <param name="copy">The path of the destination.</param>
    public static async Task<uint[]> CopyAsync(
        ISparseSource source, SafeFileHandle destination, string copy, string? parent, string name, CancellationToken cancellationToken)
    {
        if (parent is null)
            return await SparseCopy.CopyAsync(source, destination, cancellationToken);
        using var basis = SparseSource.Open(parent, name);
        var (sums, shared) = await SparseCopy.CopyDifferenceAsync(source, destination, basis, cancellationToken);
        SparseSource.WriteMap(copy, shared);
        return sums;
    }
}
