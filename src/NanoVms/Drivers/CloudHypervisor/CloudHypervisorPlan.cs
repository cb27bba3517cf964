using System.Text.Json;
using System.Text.Json.Nodes;
using NanoVms.Drivers.Vmm;
using NanoVms.Drivers.Vsock;
using NanoVms.Images;
using NanoVms.Machines;

namespace NanoVms.Drivers.CloudHypervisor;

/// <summary>What is ordered of a fresh Cloud Hypervisor. Paths are names in its working folder.</summary>
/// <param name="ApiSocket">Name of the interface's socket.</param>
/// <param name="IsRestored">True when the machine is to be restored from a snapshot instead.</param>
internal sealed record CloudHypervisorPlan(string ApiSocket, VmConfig Config, bool IsRestored)
{
    public const string Kernel = "kernel";
    public const string Initramfs = "initramfs";
    public const string Disk = "disk";
    public const string Events = "events";
    public const string VsockSocket = "vsock.sock";
    public const string ConsoleSocket = "console.sock";
    public const string DiskSerial = "disk";
    private const string Card = "eth0";

    /// <summary>A restored machine's files, as Cloud Hypervisor wants them: in a folder.</summary>
    public const string LoadFolder = "load";
    public const string ConfigFile = "config.json";
    public const string StateFile = "state.json";
    public const string MemoryFile = "memory-ranges";
    public static readonly SavedFiles Files = new("cloud-hypervisor.json", [ConfigFile, StateFile, MemoryFile]);

    /// <summary>A folder in the working folder, by a path that is right whatever the working folder is called.</summary>
    public static string UrlOf(string folder) => $"file:///proc/self/cwd/{folder}";

    public static string LayerName(int index) => $"layer{index}";

    public static string DriveName(int index) => $"drive{index}";

    public static string DriveSerial(DriveSpec drive) => $"d-{drive.Name}";

    public static CloudHypervisorPlan Of(MachinePlan plan, long tscKilohertz) => new(
        CloudHypervisorArguments.ApiSocket(plan.HostId, plan.MachineId),
        new VmConfig(new PayloadConfig(Kernel, GuestKernel.CommandLine(tscKilohertz, hardware: true, console: true, quiet: !plan.Spec.BootMessages), Initramfs))
        {
            Cpus = new CpusConfig(plan.Spec.Cpus, plan.Spec.Cpus),
            Memory = new MemoryConfig((long)plan.Spec.MemoryMiB << 20),
            Disks =
            [
                .. plan.Spec.Layers.Select((_, i) => new DiskConfig(LayerName(i), LayerName(i)) { Readonly = true }),
                new DiskConfig(Disk, DiskSerial),
                .. plan.Spec.Drives.Select((drive, i) => new DiskConfig(DriveName(i), DriveSerial(drive)) { Readonly = drive.ReadOnly }),
            ],
            Net = plan.Tap is null ? null : [new NetConfig(Card, plan.Card.Tap, plan.Card.Mac)],
            Vsock = new VsockConfig(VsockChannel.GuestCid, VsockSocket),
            Rng = new RngConfig("/dev/urandom"),
            Balloon = new BalloonConfig(0) { DeflateOnOom = true, FreePageReporting = true },
            Serial = new ConsoleConfig(ConsoleMode.Socket) { Socket = ConsoleSocket },
            Console = new ConsoleConfig(ConsoleMode.Off),
        },
        plan.Restore is not null);

    /// <summary>The description in a snapshot, with the tap of the machine that is made from it.</summary>
    /// <exception cref="IOException">It is no description.</exception>
    public static string WithTap(string config, string? tap)
    {
        try
        {
            var root = JsonNode.Parse(config)?.AsObject() ?? throw new IOException("The snapshot's config.json is no object.");
            foreach (var card in (root["net"] as JsonArray ?? []).OfType<JsonObject>())
                card["tap"] = tap;
            return root.ToJsonString();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new IOException($"The snapshot's config.json is not what Cloud Hypervisor writes: {e.Message}", e);
        }
    }
}
