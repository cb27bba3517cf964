using System.Text.Json.Serialization;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Snapshots;

namespace NanoVms.Drivers.Qemu;

/// <summary>The files of a snapshot: <c>memory</c> (sparse), <c>state</c> of the devices, and <c>qemu.json</c> with the sums of both.</summary>
internal static class QemuSnapshot
{
    public const string State = "state";
    private const string Memory = "memory";
    private const string Sums = "qemu.json";

    /// <summary>Copies the memory, and writes the sums once everything is on the disk.</summary>
    public static async Task WriteAsync(string folder, SafeFileHandle memory, SafeFileHandle state, CancellationToken cancellationToken)
    {
        using var copy = File.OpenHandle(Path.Combine(folder, Memory), FileMode.CreateNew, FileAccess.ReadWrite);
        var sums = new QemuSnapshotSums(await SparseCopy.CopyAsync(memory, copy, cancellationToken), await SparseCopy.SumAsync(state, cancellationToken));
        RandomAccess.FlushToDisk(copy);
        RandomAccess.FlushToDisk(state);
        SafeFile.WriteJson(Path.Combine(folder, Sums), sums, QemuSnapshotJson.Default.QemuSnapshotSums);
    }

    /// <summary>The memory, copied for one machine, checked along with the devices' state.</summary>
    /// <exception cref="SnapshotException">A file is missing or damaged.</exception>
    public static async Task<SafeFileHandle> ReadMemoryAsync(string folder, CancellationToken cancellationToken)
    {
        var sums = SafeFile.ReadJson(Path.Combine(folder, Sums), QemuSnapshotJson.Default.QemuSnapshotSums)
            ?? throw new SnapshotException($"Snapshot {folder} is not complete: {Sums} is missing or cannot be read. Take it again.");
        try
        {
            using var state = File.OpenHandle(Path.Combine(folder, State));
            SnapshotException.ThrowIfDamaged(folder, State, sums.State, await SparseCopy.SumAsync(state, cancellationToken));
            using var saved = File.OpenHandle(Path.Combine(folder, Memory));
            var memory = QemuMemory.Create((int)(RandomAccess.GetLength(saved) >> 20));
            try
            {
                SnapshotException.ThrowIfDamaged(folder, Memory, sums.Memory, await SparseCopy.CopyAsync(saved, memory, cancellationToken));
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

internal sealed record QemuSnapshotSums(uint[] Memory, uint[] State);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(QemuSnapshotSums))]
internal sealed partial class QemuSnapshotJson : JsonSerializerContext;
