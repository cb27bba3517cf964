using System.Globalization;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Snapshots;

namespace NanoVms.Drivers.Vmm;

/// <summary>The files that a hypervisor writes for a snapshot, and the file with their sums, which is written last.</summary>
/// <param name="SumsFile">Name of the file with the sums.</param>
/// <param name="Names">The hypervisor's files.</param>
internal sealed record SavedFiles(string SumsFile, IReadOnlyList<string> Names)
{
    /// <summary>The folder in the working folder into which the hypervisor writes.</summary>
    public const string WriteFolder = "save";

    /// <summary>Makes the folder, which belongs to the hypervisor's user.</summary>
    public static void Prepare(string runFolder, ProcessIdentity process)
    {
        var path = Path.Combine(runFolder, WriteFolder);
        _ = Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var user = UserOf(process);
        FileOwner.Set(path, user, user);
    }

    /// <summary>Takes what the hypervisor wrote into its folder over into a snapshot's folder.</summary>
    /// <param name="parent">The folder of a snapshot from which nothing need be copied that is the same there.</param>
    /// <remarks>
    /// The hypervisor is not trusted and the folder is its own: it could put a link to any file of the computer there. So the folder is
    /// first moved to where the hypervisor cannot change anything in it, then looked at.
    /// </remarks>
    /// <exception cref="IOException">A file is missing or is none, or the disk is full.</exception>
    public async Task TakeAsync(string runFolder, string machineFolder, string folder, string? parent, CancellationToken cancellationToken)
    {
        var taken = Path.Combine(machineFolder, $"saved-{Guid.NewGuid():N}");
        Directory.Move(Path.Combine(runFolder, WriteFolder), taken);
        try
        {
            if (new DirectoryInfo(taken).LinkTarget is not null)
                throw new IOException("The hypervisor put a link in the place of its folder.");
            FileOwner.Set(taken, 0, 0);
            var sums = new Dictionary<string, uint[]>();
            foreach (var name in Names)
            {
                var path = Path.Combine(taken, name);
                if (!IsPlainFile(path))
                    throw new IOException($"The hypervisor wrote no file '{name}'.");
                using var source = File.OpenHandle(path);
                var to = Path.Combine(folder, name);
                using var copy = Create(to);
                sums[name] = await SnapshotWriter.CopyAsync(new SparseSource(source), copy, to, parent, name, cancellationToken);
                RandomAccess.FlushToDisk(copy);
            }

            new SnapshotSums(sums).Write(folder, SumsFile);
        }
        finally
        {
            Directory.Delete(taken, recursive: true);
        }
    }

    /// <summary>Checks that all is as it was written, and puts together in the machine's folder what builds on other snapshots. Returns the path of each file.</summary>
    /// <exception cref="SnapshotException">A file is missing or damaged.</exception>
    public async Task<IReadOnlyDictionary<string, string>> OpenAsync(string folder, string machineFolder, CancellationToken cancellationToken)
    {
        var sums = SnapshotSums.Read(folder, SumsFile);
        var paths = new Dictionary<string, string>();
        try
        {
            foreach (var name in Names)
            {
                using var saved = SparseSource.Open(folder, name);
                paths[name] = saved.IsWhole ? Path.Combine(folder, name) : Path.Combine(machineFolder, $"restored-{name}");
                if (saved.IsWhole)
                {
                    sums.Check(folder, name, await SparseCopy.SumAsync(saved, cancellationToken));
                    continue;
                }

                using var whole = Create(paths[name]);
                sums.Check(folder, name, await SparseCopy.CopyAsync(saved, whole, cancellationToken));
            }
        }
        catch (IOException e)
        {
            throw new SnapshotException($"Snapshot {folder} cannot be read: {e.Message}", e);
        }

        return paths;
    }

    /// <summary>Readable by the user of any hypervisor; the folders are closed to users.</summary>
    private static SafeFileHandle Create(string path)
    {
        var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        return file;
    }

    private static uint UserOf(ProcessIdentity process)
    {
        // "Uid: REAL EFFECTIVE SAVED FILE", see proc(5).
        var line = File.ReadLines($"/proc/{process.Id.ToString(CultureInfo.InvariantCulture)}/status").First(l => l.StartsWith("Uid:", StringComparison.Ordinal));
        return uint.Parse(line.Split('\t')[1], CultureInfo.InvariantCulture);
    }

    /// <summary>No link, no folder, no pipe, no device.</summary>
    private static bool IsPlainFile(string path)
    {
        var file = new FileInfo(path);
        return file.Exists && file.LinkTarget is null && (file.Attributes & (FileAttributes.Directory | FileAttributes.Device)) == 0 && file.Length > 0;
    }
}
