using NanoVms.Drivers;
using NanoVms.Machines;

namespace NanoVms.Snapshots;

/// <summary>Saves a halted machine into a folder that appears whole or not at all.</summary>
internal static class SnapshotWriter
{
    private const string Aside = ".partial";

    /// <exception cref="IOException">The folder exists, or the disk is full.</exception>
    /// <exception cref="HypervisorException">The hypervisor refused.</exception>
    public static async Task WriteAsync(
        string folder, string machineFolder, MachineRecord record, IHypervisor hypervisor, TimeProvider time, CancellationToken cancellationToken)
    {
        if (Directory.Exists(folder))
            throw new IOException($"{folder} is there already; a snapshot is never overwritten.");
        var aside = folder + Aside;
        // What an earlier attempt left when its process was killed.
        if (Directory.Exists(aside))
            Directory.Delete(aside, recursive: true);
        _ = Directory.CreateDirectory(aside, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        try
        {
            await hypervisor.SaveAsync(aside, cancellationToken);
            var manifest = new SnapshotManifest
            {
                CreatedAt = time.GetUtcNow(),
                Spec = record.Spec,
                Driver = record.Driver,
                Accelerated = record.Accelerated,
                HasMain = record.HasMain,
                DiskSums = await CopyDiskAsync(MachineDisk.PathOf(machineFolder, record.Spec), Path.Combine(aside, SnapshotManifest.Disk), cancellationToken),
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

    private static async Task<uint[]?> CopyDiskAsync(string disk, string copy, CancellationToken cancellationToken)
    {
        if (!File.Exists(disk))
            return null;
        using var source = File.OpenHandle(disk, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var destination = File.OpenHandle(copy, FileMode.CreateNew, FileAccess.ReadWrite);
        var sums = await SparseCopy.CopyAsync(source, destination, cancellationToken);
        RandomAccess.FlushToDisk(destination);
        return sums;
    }
}
