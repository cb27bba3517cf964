using Microsoft.Win32.SafeHandles;
using NanoVms.Snapshots;

namespace NanoVms.Drivers.Qemu;

/// <summary>The files of a snapshot: <c>memory</c> (sparse), <c>state</c> of the devices, and <c>qemu.json</c> with the sums of both.</summary>
internal static class QemuSnapshot
{
    public const string State = "state";
    private const string Memory = "memory";
    private const string Sums = "qemu.json";

    /// <summary>Copies the memory, and writes the sums once everything is on the disk.</summary>
    public static async Task WriteAsync(string folder, string? parent, SafeFileHandle memory, SafeFileHandle state, CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, Memory);
        using var copy = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite);
        var sums = new SnapshotSums(new()
        {
            [Memory] = await SnapshotWriter.CopyAsync(memory, copy, path, parent, Memory, cancellationToken),
            [State] = await SparseCopy.SumAsync(state, cancellationToken),
        });
        RandomAccess.FlushToDisk(copy);
        RandomAccess.FlushToDisk(state);
        sums.Write(folder, Sums);
    }

    /// <summary>The memory, copied for one machine, checked along with the devices' state.</summary>
    /// <exception cref="SnapshotException">A file is missing or damaged.</exception>
    public static async Task<SafeFileHandle> ReadMemoryAsync(string folder, CancellationToken cancellationToken)
    {
        var sums = SnapshotSums.Read(folder, Sums);
        try
        {
            using var state = File.OpenHandle(Path.Combine(folder, State));
            sums.Check(folder, State, await SparseCopy.SumAsync(state, cancellationToken));
            using var saved = SparseSource.Open(folder, Memory);
            var memory = QemuMemory.Create((int)(saved.Length >> 20));
            try
            {
                sums.Check(folder, Memory, await SparseCopy.CopyAsync(saved, memory, cancellationToken));
                return memory;
            }
            catch
            {
                memory.Dispose();
                throw;
            }
        }
        catch (IOException e)
        {
            throw new SnapshotException($"Snapshot {folder} cannot be read: {e.Message}", e);
        }
    }
}
