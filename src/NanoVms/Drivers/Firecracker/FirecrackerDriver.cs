using System.Collections.Concurrent;
using NanoVms.Commands;
using NanoVms.Drivers.Qemu;
using NanoVms.Drivers.Vmm;
using NanoVms.Images;
using NanoVms.Machines;

namespace NanoVms.Drivers.Firecracker;

/// <summary>
/// Starts machines as Firecracker processes that outlive this one. Each runs as a user of its own, without capabilities and under
/// Firecracker's seccomp filters, in a folder in which only its own files are. One with a network card sees the computer's network,
/// as Firecracker opens its tap by name there.
/// </summary>
/// <param name="probe">Whether KVM is usable: Firecracker can nothing else.</param>
/// <param name="program">Name or path of the program.</param>
internal sealed class FirecrackerDriver(
    Func<CancellationToken, Task<KvmAnswer>> probe, TimeProvider time, string program = FirecrackerArguments.Program) : IMachineDriver
{
    public const string DriverName = "firecracker";

    /// <summary>MiB that Firecracker itself may use: 5, and what the kernel needs for page tables and buffers.</summary>
    private const int OwnMiB = 64;

    /// <summary>Version 1.8 is the first that describes devices by ACPI, which Debian's kernel needs.</summary>
    private static readonly VmmStatus Status = new(DriverName, "Firecracker", "https://github.com/firecracker-microvm/firecracker", new Version(1, 8));

    /// <summary>Launched and not attached yet.</summary>
    private readonly ConcurrentDictionary<ProcessIdentity, FirecrackerPlan> _launched = new();

    public string Name => DriverName;

    public DriverCapabilities Capabilities =>
        DriverCapabilities.OwnKernel | DriverCapabilities.Pause | DriverCapabilities.Snapshot | DriverCapabilities.Drives | DriverCapabilities.MemoryReturn;

    public Task<DriverStatus> GetStatusAsync(CancellationToken cancellationToken) => Status.FindAsync(program, probe, cancellationToken);

    public IEnumerable<string> FindErrors(MachineSpec spec)
    {
        if (spec.NestedVirtualization)
            yield return "NestedVirtualization is not possible with Firecracker; choose driver 'qemu'.";
        if (spec.Layers.Count + spec.Drives.Count >= FirecrackerArguments.MaxDisks)
            yield return $"{spec.Layers.Count} layers and {spec.Drives.Count} drives are too many for Firecracker; {FirecrackerArguments.MaxDisks - 1} together are possible.";
        if (spec.Networks.Count > 1)
            yield return $"{spec.Networks.Count} networks are too many for driver '{DriverName}' here; 1 is possible.";
        if (spec.Cpus > 32)
            yield return $"Cpus is {spec.Cpus}; Firecracker has at most 32.";
    }

    /// <summary>Firecracker gives disks no serial number of ours; the guest finds them in the order in which they are described.</summary>
    public MachineDevices Devices(MachineSpec spec)
    {
        var disk = spec.Layers.Count;
        return new MachineDevices(
            [.. spec.Layers.Select((_, i) => FirecrackerArguments.DeviceOf(i))],
            FirecrackerArguments.DeviceOf(disk),
            spec.Drives.Select((drive, i) => (drive.Name, Device: FirecrackerArguments.DeviceOf(disk + 1 + i))).ToDictionary(d => d.Name, d => d.Device));
    }

    public long MemoryLimit(MachineSpec spec, bool accelerated) => (spec.MemoryMiB + OwnMiB + (4L * spec.Cpus)) << 20;

    public string ProcessMark(string hostId) => FirecrackerArguments.Mark(hostId);

    public async Task<ProcessIdentity> LaunchAsync(MachinePlan plan, ErrorTail errors, CancellationToken cancellationToken)
    {
        var path = ProgramLocator.Require(program);
        var kvm = await probe(cancellationToken);
        if (plan.Restore is not null)
            await FirecrackerSnapshot.Files.CheckAsync(plan.Restore, cancellationToken);
        using var folder = new RunFolder(plan.Folder, plan.Lease.UserId);
        folder.AddReadable(FirecrackerPlan.Kernel, plan.Boot.KernelPath);
        folder.AddReadable(FirecrackerPlan.Initramfs, plan.Boot.InitramfsPath);
        for (var i = 0; i < plan.Spec.Layers.Count; i++)
            folder.AddReadable(FirecrackerPlan.LayerName(i), plan.Spec.Layers[i]);
        folder.AddWritable(FirecrackerPlan.Disk, plan.DiskPath);
        for (var i = 0; i < plan.Spec.Drives.Count; i++)
            folder.AddDrive(FirecrackerPlan.DriveName(i), plan.Spec.Drives[i]);
        if (plan.Restore is not null)
        {
            folder.AddReadable(FirecrackerSnapshot.State, Path.Combine(plan.Restore, FirecrackerSnapshot.State));
            folder.AddReadable(FirecrackerSnapshot.Memory, Path.Combine(plan.Restore, FirecrackerSnapshot.Memory));
        }

        folder.Add(FirecrackerPlan.Console, Fifo.Create(Path.Combine(plan.Folder, FirecrackerPlan.Console), plan.Lease.UserId));
        if (plan.Tap is not null)
            LentTap.Lend(plan.Tap, plan.Folder, plan.Card.Tap, plan.Lease.UserId);
        var process = folder.Start(_ => FirecrackerArguments.Build(path, plan.HostId, plan.MachineId), kvm.Group, plan.Tap is not null, errors);
        _launched[process] = FirecrackerPlan.Of(plan, TimeStampCounter.GetKilohertz());
        return process;
    }

    public IHypervisor Attach(string folder, MachineRecord record, ProcessIdentity process) =>
        new FirecrackerProcess(folder, process, _launched.TryRemove(process, out var plan) ? plan : null, time);

    public Task RemoveAsync(string folder, MachineRecord record, CancellationToken cancellationToken) => LentTap.RemoveAsync(folder, cancellationToken);
}
