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

    /// <summary>The file that a machine writes to.</summary>
    public static string PathOf(string machineFolder, MachineSpec spec) => spec.DiskPath ?? Path.Combine(machineFolder, FileName);

    /// <param name="journal">For a disk that outlives its machine, and with it a crash.</param>
    public static Command Build(string path, bool prezeroed, bool journal = false) => new(
        "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-O", journal ? "^resize_inode" : "^has_journal,^resize_inode",
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
            using var source = SparseSource.Open(folder, SnapshotManifest.Disk);
            using var disk = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite);
            SnapshotException.ThrowIfDamaged(folder, SnapshotManifest.Disk, snapshot.DiskSums, await SparseCopy.CopyAsync(source, disk, cancellationToken));
        }
        catch (FileNotFoundException e)
        {
            throw new SnapshotException($"Snapshot {folder} is damaged: {e.Message}", e);
        }
    }

    /// <summary>Makes a disk that outlives its machine, unless it is there.</summary>
    public static async Task OpenPersistentAsync(string path, long bytes, CancellationToken cancellationToken)
    {
        if (File.Exists(path))
            return;
        _ = Directory.CreateDirectory(Path.GetDirectoryName(path)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        // It appears whole: half a disk would be taken for the machine's own after a crash.
        var aside = path + ".new";
        File.Delete(aside);
        await CreateAsync(aside, bytes, cancellationToken, journal: true);
        File.Move(aside, path);
    }

    public static async Task CreateAsync(string path, long bytes, CancellationToken cancellationToken, bool journal = false)
    {
        using (var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite))
            RandomAccess.SetLength(file, bytes);
        var result = await CommandRunner.RunAsync(Build(path, prezeroed: true, journal), cancellationToken);
        // An mke2fs before 1.47 does not know the option.
        if (!result.Succeeded)
            result = await CommandRunner.RunAsync(Build(path, prezeroed: false, journal), cancellationToken);
        if (!result.Succeeded)
        {
            throw new MachineException(
                $"Cannot make a disk of {bytes.ToString(CultureInfo.InvariantCulture)} bytes at {path}: {result.StandardError.Trim()}");
        }
    }
}
