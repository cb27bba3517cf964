using NanoVms.Snapshots;

namespace BytePort.Server.Machines.Snapshots;

/// <param name="Name">Of the machine that was saved.</param>
/// <param name="Driver">The only driver that can restore it.</param>
/// <param name="Parent">The snapshot that it builds on; null when it is whole by itself.</param>
/// <param name="Bytes">Room that it takes.</param>
internal sealed record SnapshotView(string Id, string Name, string Driver, int Cpus, int MemoryMiB, DateTimeOffset CreatedAt, string? Parent, long Bytes)
{
    public static SnapshotView Of(MachineSnapshot snapshot) =>
        new(Path.GetFileName(snapshot.Folder), snapshot.Spec.Name, snapshot.Driver, snapshot.Spec.Cpus, snapshot.Spec.MemoryMiB, snapshot.CreatedAt,
            Path.GetFileName(snapshot.Parent), snapshot.Bytes);
}
