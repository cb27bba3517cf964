using NanoVms.Drivers.Vmm;
using NanoVms.Drivers.Vsock;
using NanoVms.Images;

namespace NanoVms.Drivers.Firecracker;

/// <summary>What is ordered of a fresh Firecracker, in the order in which its own tools do. Paths are names in its working folder.</summary>
internal sealed record FirecrackerPlan
{
    public const string Console = "console";

    public required MachineConfiguration Machine { get; init; }

    public required BootSource Boot { get; init; }

    public required IReadOnlyList<Drive> Drives { get; init; }

    public IReadOnlyList<NetworkInterface> Networks { get; init; } = [];

    /// <summary>The taps that <see cref="Networks"/> name; null for none.</summary>
    public LentTaps? Taps { get; init; }

    /// <summary>True when the machine is to be loaded from a snapshot instead.</summary>
    public required bool IsRestored { get; init; }

    public static FirecrackerPlan Of(MachinePlan plan, long tscKilohertz) => new()
    {
        Machine = new MachineConfiguration(plan.Spec.Cpus, plan.Spec.MemoryMiB),
        Boot = new BootSource(RunFolder.Kernel)
        {
            InitrdPath = RunFolder.Initramfs,
            BootArgs = GuestKernel.CommandLine(tscKilohertz, hardware: true, console: true, quiet: !plan.Spec.BootMessages),
        },
        Drives =
        [
            .. plan.Spec.Layers.Select((_, i) => new Drive(RunFolder.LayerName(i), RunFolder.LayerName(i), IsReadOnly: true)),
            // Its content need not survive the machine, so the guest's flushes are not passed on.
            new Drive(RunFolder.Disk, RunFolder.Disk, IsReadOnly: false) { CacheType = plan.Spec.DiskPath is null ? default : CacheType.Writeback },
            // Names of drives may hold hyphens, ids may not.
            .. plan.Spec.Drives.Select((drive, i) => new Drive(RunFolder.DriveName(i), RunFolder.DriveName(i), drive.ReadOnly) { CacheType = CacheType.Writeback }),
        ],
        Networks = [.. plan.Cards.Select(card => new NetworkInterface(card.Card.Name, card.Card.Port.Lease.Tap) { GuestMac = card.Card.Port.Lease.Mac })],
        IsRestored = plan.Restore is not null,
    };

    /// <summary>Describes the machine, which is ready to be started then.</summary>
    /// <exception cref="Rest.RestException">Refused.</exception>
    public async Task DescribeAsync(FirecrackerClient client, CancellationToken cancellationToken)
    {
        await client.PutMachineAsync(Machine, cancellationToken);
        await client.PutBootSourceAsync(Boot, cancellationToken);
        foreach (var drive in Drives)
            await client.PutDriveAsync(drive, cancellationToken);
        foreach (var card in Networks)
            await client.PutNetworkAsync(card, cancellationToken);
        await client.PutVsockAsync(new VsockDevice(VsockChannel.GuestCid, RunFolder.VsockSocket), cancellationToken);
        await client.PutEntropyAsync(cancellationToken);
        await client.PutBalloonAsync(new Balloon(0, DeflateOnOom: true) { StatsPollingIntervalS = 1 }, cancellationToken);
        // Without it the console goes to the standard output, which is read during the start only.
        _ = await client.TryPutSerialAsync(new SerialDevice(Console), cancellationToken);
    }
}
