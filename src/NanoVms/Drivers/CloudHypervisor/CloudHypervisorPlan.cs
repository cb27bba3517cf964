using System.Runtime.InteropServices;
using NanoVms.Drivers.Vmm;
using NanoVms.Drivers.Vsock;
using NanoVms.Images;
using NanoVms.Machines;

namespace NanoVms.Drivers.CloudHypervisor;

/// <summary>What is ordered of a fresh Cloud Hypervisor. Paths are names in its working folder.</summary>
/// <param name="ApiSocket">Name of the interface's socket.</param>
/// <param name="Cards">Added one by one, each with its tap of <see cref="Taps"/>.</param>
/// <param name="IsRestored">True when the machine is to be restored from a snapshot instead.</param>
internal sealed record CloudHypervisorPlan(string ApiSocket, VmConfig Config, IReadOnlyList<NetConfig> Cards, bool IsRestored) : IDisposable
{
    /// <summary>Held until they are handed over.</summary>
    public IReadOnlyList<SafeHandle> Taps { get; init; } = [];

    public void Dispose()
    {
        foreach (var tap in Taps)
            tap.Dispose();
    }

    public const string Events = "events";
    public const string ConsoleSocket = "console.sock";
    public const string DiskSerial = "disk";

    /// <summary>A restored machine's files, as Cloud Hypervisor wants them: in a folder.</summary>
    public const string LoadFolder = "load";
    public const string ConfigFile = "config.json";
    public const string StateFile = "state.json";
    public const string MemoryFile = "memory-ranges";
    public static readonly SavedFiles Files = new("cloud-hypervisor.json", [ConfigFile, StateFile, MemoryFile]);

    /// <summary>A folder in the working folder, which has the same path in the jail.</summary>
    public static string UrlOf(string runFolder, string folder) => $"file://{runFolder}/{folder}";

    public static string DriveSerial(DriveSpec drive) => $"d-{drive.Name}";

    public static CloudHypervisorPlan Of(MachinePlan plan, long tscKilohertz) => new(
        CloudHypervisorArguments.ApiSocket(plan.HostId, plan.MachineId),
        new VmConfig(new PayloadConfig(RunFolder.Kernel, GuestKernel.CommandLine(tscKilohertz, hardware: true, console: true, quiet: !plan.Spec.BootMessages), RunFolder.Initramfs))
        {
            Cpus = new CpusConfig(plan.Spec.Cpus, plan.Spec.Cpus),
            Memory = new MemoryConfig((long)plan.Spec.MemoryMiB << 20),
            Disks =
            [
                .. plan.Spec.Layers.Select((_, i) => new DiskConfig(RunFolder.LayerName(i), RunFolder.LayerName(i)) { Readonly = true }),
                new DiskConfig(RunFolder.Disk, DiskSerial),
                .. plan.Spec.Drives.Select((drive, i) => new DiskConfig(RunFolder.DriveName(i), DriveSerial(drive)) { Readonly = drive.ReadOnly }),
            ],
            Vsock = new VsockConfig(VsockChannel.GuestCid, RunFolder.VsockSocket),
            Rng = new RngConfig("/dev/urandom"),
            Balloon = new BalloonConfig(0) { DeflateOnOom = true, FreePageReporting = true },
            Serial = new ConsoleConfig(ConsoleMode.Socket) { Socket = ConsoleSocket },
            Console = new ConsoleConfig(ConsoleMode.Off),
        },
        [.. plan.Cards.Select(card => new NetConfig(card.Card.Name, card.Card.Port.Lease.Mac))],
        plan.Restore is not null);
}
