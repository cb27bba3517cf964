using NanoVms.Drivers;
using NanoVms.Images;
using NanoVms.Snapshots;

namespace NanoVms.Machines;

/// <summary>A machine to be brought up: booted, or restored.</summary>
internal abstract record MachineStart(IMachineDriver Driver, MachineSpec Spec, BootFiles Boot)
{
    public abstract bool HasMain { get; }

    /// <summary>The snapshot whose disk it has; null for a disk of its own.</summary>
    public virtual (string Folder, SnapshotManifest Snapshot)? SavedDisk => null;

    /// <summary>True for a machine that slept: its disk is there, and it stays who it is.</summary>
    public bool IsAwaking { get; init; }
}

/// <param name="Main">Null for a machine that only runs single commands.</param>
/// <param name="Setup">What is done before the main process starts; null for nothing.</param>
internal sealed record MachineBoot(IMachineDriver Driver, MachineSpec Spec, BootFiles Boot, ProcessSpec? Main, MachineSetup? Setup = null) : MachineStart(Driver, Spec, Boot)
{
    public override bool HasMain => Main is not null;

    /// <summary>What it was to go on from, had that not been damaged; null for a boot that was wanted.</summary>
    public MachineBootInstead? Instead { get; init; }

    public override (string Folder, SnapshotManifest Snapshot)? SavedDisk => Instead is { Snapshot.DiskSums: not null } ? (Instead.Folder, Instead.Snapshot) : null;
}

/// <param name="Folder">The snapshot whose disk it has.</param>
/// <param name="Reason">What is damaged.</param>
internal sealed record MachineBootInstead(string Folder, SnapshotManifest Snapshot, string Reason);

/// <param name="Folder">The snapshot's.</param>
internal sealed record MachineRestore(IMachineDriver Driver, MachineSpec Spec, BootFiles Boot, string Folder, SnapshotManifest Snapshot)
    : MachineStart(Driver, Spec, Boot)
{
    public override bool HasMain => Snapshot.HasMain;

    public override (string Folder, SnapshotManifest Snapshot)? SavedDisk => (Folder, Snapshot);
}
