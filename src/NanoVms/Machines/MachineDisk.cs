using System.Globalization;
using NanoVms.Commands;
using NanoVms.Snapshots;

namespace NanoVms.Machines;

/// <summary>
/// Makes a machine's writable layer: an empty ext4 without a journal, because it is thrown away after a crash. Sparse: 10 GiB take 230 KiB
/// and 10 ms, so there is no template to copy.
/// </summary>
internal static class MachineDisk
{
    public const string FileName = "disk.raw";

    /// <summary>mke2fs 1.47 marks the tables of a fresh sparse file as zeroed; without that the guest writes zeroes for minutes.</summary>
    private const string Prezeroed = ",assume_storage_prezeroed=1";

    public static Command Build(string path, bool prezeroed) => new(
        "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal,^resize_inode",
        "-E", $"lazy_itable_init=1,nodiscard{(prezeroed ? Prezeroed : "")}", path)
    {
        Timeout = TimeSpan.FromMinutes(1),
    };

    /// <summary>The disk of a snapshot, copied for one machine.</summary>
    /// <exception cref="SnapshotException">It is missing or damaged.</exception>
    public static async Task RestoreAsync(string path, string folder, SnapshotManifest snapshot, CancellationToken cancellationToken)
    {
        if (snapshot.DiskSums is null)
            return;
        try
        {
            using var source = File.OpenHandle(Path.Combine(folder, SnapshotManifest.Disk));
            using var disk = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite);
            SnapshotException.ThrowIfDamaged(folder, SnapshotManifest.Disk, snapshot.DiskSums, await SparseCopy.CopyAsync(source, disk, cancellationToken));
        }
        catch (FileNotFoundException e)
        {
            throw new SnapshotException($"Snapshot {folder} is damaged: {e.Message}", e);
        }
    }

    public static async Task CreateAsync(string path, long bytes, CancellationToken cancellationToken)
    {
        using (var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite))
            RandomAccess.SetLength(file, bytes);
        var result = await CommandRunner.RunAsync(Build(path, prezeroed: true), cancellationToken);
        // An mke2fs before 1.47 does not know the option.
        if (!result.Succeeded)
            result = await CommandRunner.RunAsync(Build(path, prezeroed: false), cancellationToken);
        if (!result.Succeeded)
        {
            throw new MachineException(
                $"Cannot make a disk of {bytes.ToString(CultureInfo.InvariantCulture)} bytes at {path}: {result.StandardError.Trim()}");
        }
    }
}
