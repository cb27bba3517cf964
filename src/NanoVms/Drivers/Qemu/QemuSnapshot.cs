using Microsoft.Win32.SafeHandles;
using NanoVms.Snapshots;

namespace NanoVms.Drivers.Qemu;

/// <summary>The files of a snapshot: <c>memory</c> (sparse), the state of the <c>devices</c>, and <c>qemu.json</c> with the sums of both.</summary>
internal static class QemuSnapshot
{
    public const string Devices = "devices";
    private const string Memory = "memory";
    private const string Sums = "qemu.json";

    /// <summary>Copies the memory, and writes the sums once everything is on the disk.</summary>
    public static async Task WriteAsync(string folder, string? parent, ISparseSource memory, CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, Memory);
        using var copy = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite);
        using var devices = File.OpenHandle(Path.Combine(folder, Devices));
        var sums = new SnapshotSums(new()
        {
            [Memory] = await SnapshotWriter.CopyAsync(memory, copy, path, parent, Memory, cancellationToken),
            [Devices] = await SparseCopy.SumAsync(devices, cancellationToken),
        });
        RandomAccess.FlushToDisk(copy);
        sums.Write(folder, Sums);
    }

    /// <summary>Copies the memory into an empty file, and checks it along with the devices' state.</summary>
    /// <exception cref="SnapshotException">A file is missing or damaged.</exception>
    public static async Task ReadMemoryAsync(string folder, SafeFileHandle memory, CancellationToken cancellationToken)
    {
        var sums = SnapshotSums.Read(folder, Sums);
        if (!sums.Files.ContainsKey(Devices))
            throw new SnapshotException($"Snapshot {folder} was taken by an earlier version of NanoVMS. Take it again.");
        try
        {
            using var devices = File.OpenHandle(Path.Combine(folder, Devices));
            sums.Check(folder, Devices, await SparseCopy.SumAsync(devices, cancellationToken));
            using var saved = SparseSource.Open(folder, Memory);
            sums.Check(folder, Memory, await SparseCopy.CopyAsync(saved, memory, cancellationToken));
        }
        catch (IOException e)
        {
            throw new SnapshotException($"Snapshot {folder} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Changes when any file does that <see cref="ReadMemoryAsync"/> reads.</summary>
    public static string VersionOf(string folder) => string.Join(' ', Chain(folder).SelectMany(path => (string[])[Memory, Devices, Sums], (path, name) => new FileInfo(Path.Combine(path, name)))
        .Select(file => $"{file.FullName}:{(file.Exists ? file.LastWriteTimeUtc.Ticks : 0)}"));

    private static IEnumerable<string> Chain(string folder)
    {
        string? next = folder;
        for (var depth = 0; next is not null && depth <= SnapshotManifest.MaxDepth; depth++)
        {
            yield return next;
            next = SnapshotManifest.Read(next).ParentFolder(next);
        }
    }
}
