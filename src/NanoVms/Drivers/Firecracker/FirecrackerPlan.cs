using NanoVms.Drivers.Vsock;
using NanoVms.Images;

namespace NanoVms.Drivers.Firecracker;

/// <summary>What is ordered of a fresh Firecracker, in the order in which its own tools do. Paths are names in its working folder.</summary>
internal sealed record FirecrackerPlan
{
    public const string Kernel = "kernel";
    public const string Initramfs = "initramfs";
    public const string Console = "console";
    public const string VsockSocket = "vsock.sock";
    public const string Card = "eth0";

    public required MachineConfiguration Machine { get; init; }

    public required BootSource Boot { get; init; }

    public required IReadOnlyList<Drive> Drives { get; init; }

    public NetworkInterface? Network { get; init; }

    /// <summary>True when the machine is to be loaded from a snapshot instead.</summary>
    public required bool IsRestored { get; init; }

    public static FirecrackerPlan Of(MachinePlan plan, long tscKilohertz) => new()
    {
        Machine = new MachineConfiguration(plan.Spec.Cpus, plan.Spec.MemoryMiB),
        Boot = new BootSource(Kernel)
        {
            InitrdPath = Initramfs,
            BootArgs = GuestKernel.CommandLine(tscKilohertz, hardware: true, console: true, quiet: !plan.Spec.BootMessages),
        },
        Drives =
        [
            .. plan.Spec.Layers.Select((_, i) => new Drive(LayerName(i), LayerName(i), IsReadOnly: true)),
            new Drive(Disk, Disk, IsReadOnly: false) { CacheType = plan.Spec.DiskPath is null ? default : CacheType.Writeback },
            // Names of drives may hold hyphens, ids may not.
            .. plan.Spec.Drives.Select((drive, i) => new Drive(DriveName(i), DriveName(i), drive.ReadOnly) { CacheType = CacheType.Writeback }),
        ],
        Network = plan.Tap is null ? null : new NetworkInterface(Card, plan.Card.Tap) { GuestMac = plan.Card.Mac },
        IsRestored = plan.Restore is not null,
    };

    /// <summary>Its content need not survive the machine, so the guest's flushes are not passed on.</summary>
    public const string Disk = "disk";

    public static string LayerName(int index) => $"layer{index}";

    public static string DriveName(int index) => $"drive{index}";

    /// <summary>Describes the machine and starts it.</summary>
    /// <exception cref="Rest.RestException">Refused; the machine does not run.</exception>
    public async Task BootAsync(FirecrackerClient client, CancellationToken cancellationToken)
    {
        await client.PutMachineAsync(Machine, cancellationToken);
        await client.PutBootSourceAsync(Boot, cancellationToken);
        foreach (var drive in Drives)
            await client.PutDriveAsync(drive, cancellationToken);
        if (Network is not null)
            await client.PutNetworkAsync(Network, cancellationToken);
        await client.PutVsockAsync(new VsockDevice(VsockChannel.GuestCid, VsockSocket), cancellationToken);
        await client.PutEntropyAsync(cancellationToken);
        await client.PutBalloonAsync(new Balloon(0, DeflateOnOom: true) { StatsPollingIntervalS = 1 }, cancellationToken);
        // Without it the console goes to the standard output, which is read during the start only.
        _ = await client.TryPutSerialAsync(new SerialDevice(Console), cancellationToken);
        await client.ActAsync(ActionType.InstanceStart, cancellationToken);
    }
}
