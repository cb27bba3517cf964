using System.Collections.Concurrent;
using NanoVms.Commands;
using NanoVms.Drivers.Qemu;
using NanoVms.Drivers.Vmm;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;

namespace NanoVms.Drivers.CloudHypervisor;

/// <summary>
/// Starts machines as Cloud Hypervisor processes that outlive this one. Each runs as a user of its own, without capabilities and under
/// Cloud Hypervisor's seccomp filters, in namespaces of its own with an empty network, in a folder in which only its own files are. Its taps it
/// is handed open.
/// </summary>
/// <param name="probe">Whether KVM is usable: Cloud Hypervisor is used with nothing else.</param>
/// <param name="program">Name or path of the program.</param>
/// <param name="needs">What the program reads beside libraries while it starts: a release's nothing.</param>
internal sealed class CloudHypervisorDriver(
    Func<CancellationToken, Task<KvmAnswer>> probe, TimeProvider time, string program = CloudHypervisorArguments.Program, IReadOnlyList<string>? needs = null) : IMachineDriver
{
    public const string DriverName = "cloud-hypervisor";

    /// <summary>MiB that Cloud Hypervisor itself may use: 10, and what the kernel needs for page tables and buffers.</summary>
    private const int OwnMiB = 96;

    /// <summary>Version 40 is the first that is handed the taps of a snapshot.</summary>
    private static readonly VmmStatus Status = new(DriverName, "Cloud Hypervisor", "https://github.com/cloud-hypervisor/cloud-hypervisor", new Version(40, 0));

    /// <summary>Launched and not attached yet.</summary>
    private readonly ConcurrentDictionary<ProcessIdentity, CloudHypervisorPlan> _launched = new();

    public string Name => DriverName;

    public DriverCapabilities Capabilities =>
        DriverCapabilities.OwnKernel | DriverCapabilities.Pause | DriverCapabilities.Snapshot | DriverCapabilities.Drives | DriverCapabilities.MemoryReturn
        | DriverCapabilities.IncrementalSnapshot;

    public Task<DriverStatus> GetStatusAsync(CancellationToken cancellationToken) => Status.FindAsync(program, probe, cancellationToken);

    public IEnumerable<string> FindErrors(MachineSpec spec)
    {
        if (spec.NestedVirtualization)
            yield return "NestedVirtualization is not possible with Cloud Hypervisor; choose driver 'qemu'.";
        var further = Math.Max(0, spec.Networks.Count - 1);
        if (spec.Layers.Count + spec.Drives.Count + further >= CloudHypervisorArguments.MaxDisks)
            yield return $"{spec.Layers.Count} layers, {spec.Drives.Count} drives and {further} further networks are too many for Cloud Hypervisor; {CloudHypervisorArguments.MaxDisks - 1} together are possible.";
    }

    public MachineDevices Devices(MachineSpec spec) => new(
        [.. spec.Layers.Select((_, i) => RunFolder.LayerName(i))],
        CloudHypervisorPlan.DiskSerial,
        spec.Drives.ToDictionary(drive => drive.Name, CloudHypervisorPlan.DriveSerial));

    public long MemoryLimit(MachineSpec spec, bool accelerated) => (spec.MemoryMiB + OwnMiB + (4L * spec.Cpus)) << 20;

    public string ProcessMark(string hostId) => CloudHypervisorArguments.Mark(hostId);

    public async Task<ProcessIdentity> LaunchAsync(MachinePlan plan, ErrorTail errors, CancellationToken cancellationToken)
    {
        var path = ProgramLocator.Require(program);
        var kvm = await probe(cancellationToken);
        var saved = plan.Restore is null ? new Dictionary<string, string>() : await CloudHypervisorPlan.Files.OpenAsync(plan.Restore, plan.Folder, cancellationToken);
        var user = plan.Lease.UserId;
        var folder = new RunFolder(RunFolder.In(plan.Folder), user);
        folder.AddMachine(plan);
        foreach (var (name, file) in saved)
            folder.AddReadable($"{CloudHypervisorPlan.LoadFolder}/{name}", file);

        using var events = Fifo.Create(Path.Combine(plan.Folder, CloudHypervisorPlan.Events), user);
        var command = CloudHypervisorArguments.Build(path, plan.HostId, plan.MachineId, DetachedProcess.NumbersFor([events])[0]);
        var launched = CloudHypervisorPlan.Of(plan, TimeStampCounter.GetKilohertz()) with { Taps = [.. plan.Cards.Select(card => Tap.Share(card.Tap!))] };
        try
        {
            var process = await VmmJail.StartAsync(folder, command, needs ?? [], user, kvm.Group, null, [events], errors);
            _launched[process] = launched;
            return process;
        }
        catch
        {
            launched.Dispose();
            throw;
        }
    }

    public IHypervisor Attach(string folder, MachineRecord record, ProcessIdentity process)
    {
        _ = _launched.TryRemove(process, out var plan);
        return new CloudHypervisorProcess(folder, process, plan?.ApiSocket ?? FindSocket(folder, record.Id), plan, time);
    }

    /// <summary>The host's id is part of the socket's name, and not kept with the machine.</summary>
    private static string FindSocket(string folder, string machineId)
    {
        var end = CloudHypervisorArguments.ApiSocket("", machineId)["nanovms-".Length..];
        var files = Directory.Exists(RunFolder.In(folder)) ? Directory.EnumerateFiles(RunFolder.In(folder)) : [];
        return files.Select(file => Path.GetFileName(file)!).FirstOrDefault(file => file.EndsWith(end, StringComparison.Ordinal)) ?? end;
    }
}
