using NanoVms.Snapshots;

namespace BytePort.Server.Machines.Snapshots;

/// <param name="Name">Of the machine that was saved.</param>
/// <param name="Driver">The only driver that can restore it.</param>
internal sealed record SnapshotView(string Id, string Name, string Driver, int Cpus, int MemoryMiB, DateTimeOffset CreatedAt)
{
    public static SnapshotView Of(MachineSnapshot snapshot) =>
        new(Path.GetFileName(snapshot.Folder), snapshot.Spec.Name, snapshot.Driver, snapshot.Spec.Cpus, snapshot.Spec.MemoryMiB, snapshot.CreatedAt);
}
