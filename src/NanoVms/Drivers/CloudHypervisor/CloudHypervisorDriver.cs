using System.Collections.Concurrent;
using NanoVms.Commands;
using NanoVms.Drivers.Qemu;
using NanoVms.Drivers.Vmm;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Snapshots;

namespace NanoVms.Drivers.CloudHypervisor;

/// <summary>
/// Starts machines as Cloud Hypervisor processes that outlive this one. Each runs as a user of its own, without capabilities and under
/// Cloud Hypervisor's seccomp filters, in a folder in which only its own files are. One with a network card sees the computer's network,
/// as Cloud Hypervisor opens its tap by name there.
/// </summary>
/// <param name="probe">Whether KVM is usable: Cloud Hypervisor is used with nothing else.</param>
/// <param name="program">Name or path of the program.</param>
internal sealed class CloudHypervisorDriver(
    Func<CancellationToken, Task<KvmAnswer>> probe, TimeProvider time, string program = CloudHypervisorArguments.Program) : IMachineDriver
{
    public const string DriverName = "cloud-hypervisor";

    /// <summary>MiB that Cloud Hypervisor itself may use: 10, and what the kernel needs for page tables and buffers.</summary>
    private const int OwnMiB = 96;
    private const int MaxConfig = 1 << 20;

    /// <summary>Version 36 is the first that can be told to send the console to a socket and is told <c>payload</c>.</summary>
    private static readonly VmmStatus Status = new(DriverName, "Cloud Hypervisor", "https://github.com/cloud-hypervisor/cloud-hypervisor", new Version(36, 0));

    /// <summary>Launched and not attached yet.</summary>
    private readonly ConcurrentDictionary<ProcessIdentity, CloudHypervisorPlan> _launched = new();

    public string Name => DriverName;

    public DriverCapabilities Capabilities =>
        DriverCapabilities.OwnKernel | DriverCapabilities.Pause | DriverCapabilities.Snapshot | DriverCapabilities.Drives | DriverCapabilities.MemoryReturn;

    public Task<DriverStatus> GetStatusAsync(CancellationToken cancellationToken) => Status.FindAsync(program, probe, cancellationToken);

    public IEnumerable<string> FindErrors(MachineSpec spec)
    {
        if (spec.NestedVirtualization)
            yield return "NestedVirtualization is not possible with Cloud Hypervisor; choose driver 'qemu'.";
        if (spec.Networks.Count > 1)
            yield return $"{spec.Networks.Count} networks are too many for driver '{DriverName}' here; 1 is possible.";
        if (spec.Layers.Count + spec.Drives.Count >= CloudHypervisorArguments.MaxDisks)
            yield return $"{spec.Layers.Count} layers and {spec.Drives.Count} drives are too many for Cloud Hypervisor; {CloudHypervisorArguments.MaxDisks - 1} together are possible.";
    }

    public MachineDevices Devices(MachineSpec spec) => new(
        [.. spec.Layers.Select((_, i) => CloudHypervisorPlan.LayerName(i))],
        CloudHypervisorPlan.DiskSerial,
        spec.Drives.ToDictionary(drive => drive.Name, CloudHypervisorPlan.DriveSerial));

    public long MemoryLimit(MachineSpec spec, bool accelerated) => (spec.MemoryMiB + OwnMiB + (4L * spec.Cpus)) << 20;

    public string ProcessMark(string hostId) => CloudHypervisorArguments.Mark(hostId);

    public async Task<ProcessIdentity> LaunchAsync(MachinePlan plan, ErrorTail errors, CancellationToken cancellationToken)
    {
        var path = ProgramLocator.Require(program);
        var kvm = await probe(cancellationToken);
        if (plan.Restore is not null)
            await CloudHypervisorPlan.Files.CheckAsync(plan.Restore, cancellationToken);
        using var folder = new RunFolder(plan.Folder, plan.Lease.UserId);
        folder.AddReadable(CloudHypervisorPlan.Kernel, plan.Boot.KernelPath);
        folder.AddReadable(CloudHypervisorPlan.Initramfs, plan.Boot.InitramfsPath);
        for (var i = 0; i < plan.Spec.Layers.Count; i++)
            folder.AddReadable(CloudHypervisorPlan.LayerName(i), plan.Spec.Layers[i]);
        folder.AddWritable(CloudHypervisorPlan.Disk, plan.DiskPath);
        for (var i = 0; i < plan.Spec.Drives.Count; i++)
            folder.AddDrive(CloudHypervisorPlan.DriveName(i), plan.Spec.Drives[i]);
        if (plan.Restore is not null)
            await AddSnapshotAsync(folder, plan, plan.Restore, cancellationToken);

        folder.Add(CloudHypervisorPlan.Events, Fifo.Create(Path.Combine(plan.Folder, CloudHypervisorPlan.Events), plan.Lease.UserId));
        if (plan.Tap is not null)
            LentTap.Lend(plan.Tap, plan.Folder, plan.Card.Tap, plan.Lease.UserId);
        var process = folder.Start(
            files => CloudHypervisorArguments.Build(path, plan.HostId, plan.MachineId, files[CloudHypervisorPlan.Events]), kvm.Group, plan.Tap is not null, errors);
        _launched[process] = CloudHypervisorPlan.Of(plan, TimeStampCounter.GetKilohertz());
        return process;
    }

    public IHypervisor Attach(string folder, MachineRecord record, ProcessIdentity process)
    {
        _ = _launched.TryRemove(process, out var plan);
        return new CloudHypervisorProcess(folder, process, plan?.ApiSocket ?? FindSocket(folder, record.Id), plan, time);
    }

    public Task RemoveAsync(string folder, MachineRecord record, CancellationToken cancellationToken) => LentTap.RemoveAsync(folder, cancellationToken);

    /// <summary>The host's id is part of the socket's name, and not kept with the machine.</summary>
    private static string FindSocket(string folder, string machineId)
    {
        var end = CloudHypervisorArguments.ApiSocket("", machineId)["nanovms-".Length..];
        var files = Directory.Exists(RunFolder.In(folder)) ? Directory.EnumerateFiles(RunFolder.In(folder)) : [];
        return files.Select(file => Path.GetFileName(file)!).FirstOrDefault(file => file.EndsWith(end, StringComparison.Ordinal)) ?? end;
    }

    private static async Task AddSnapshotAsync(RunFolder folder, MachinePlan plan, string snapshot, CancellationToken cancellationToken)
    {
        var config = Path.Combine(snapshot, CloudHypervisorPlan.ConfigFile);
        if (new FileInfo(config).Length > MaxConfig)
            throw new SnapshotException($"Snapshot {snapshot} cannot be used: its {CloudHypervisorPlan.ConfigFile} has more than {MaxConfig} bytes.");
        folder.AddReadable($"{CloudHypervisorPlan.LoadFolder}/{CloudHypervisorPlan.StateFile}", Path.Combine(snapshot, CloudHypervisorPlan.StateFile));
        folder.AddReadable($"{CloudHypervisorPlan.LoadFolder}/{CloudHypervisorPlan.MemoryFile}", Path.Combine(snapshot, CloudHypervisorPlan.MemoryFile));
        var own = CloudHypervisorPlan.WithTap(await File.ReadAllTextAsync(config, cancellationToken), plan.Tap is null ? null : plan.Card.Tap);
        await folder.AddTextAsync($"{CloudHypervisorPlan.LoadFolder}/{CloudHypervisorPlan.ConfigFile}", own, cancellationToken);
    }
}
