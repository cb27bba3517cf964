using System.Collections.Concurrent;
using NanoVms.Commands;
using NanoVms.Drivers.Qemu;
using NanoVms.Drivers.Vmm;
using NanoVms.Images;
using NanoVms.Machines;

namespace NanoVms.Drivers.Firecracker;

/// <summary>
/// Starts machines as Firecracker processes that outlive this one. Each runs as a user of its own, without capabilities and under
/// Firecracker's seccomp filters, in namespaces of its own, in a folder in which only its own files are. Where Firecracker's jailer is,
/// that makes the root; else it is made as for the other hypervisors.
/// </summary>
/// <param name="probe">Whether KVM is usable: Firecracker can nothing else.</param>
/// <param name="program">Name or path of the program.</param>
/// <param name="jailer">Name or path of its jailer, which need not be there.</param>
/// <param name="needs">What the program reads beside libraries while it starts: a release's nothing.</param>
internal sealed class FirecrackerDriver(
    Func<CancellationToken, Task<KvmAnswer>> probe,
    TimeProvider time,
    string program = FirecrackerArguments.Program,
    string jailer = JailerArguments.Program,
    IReadOnlyList<string>? needs = null) : IMachineDriver
{
    public const string DriverName = "firecracker";

    /// <summary>MiB that Firecracker itself may use: 5, and what the kernel needs for page tables and buffers.</summary>
    private const int OwnMiB = 64;

    /// <summary>In a machine's folder, where the jailer makes its jail.</summary>
    private const string JailFolder = "jail";

    /// <summary>Version 1.8 is the first that describes devices by ACPI, which Debian's kernel needs.</summary>
    private static readonly VmmStatus Status = new(DriverName, "Firecracker", "https://github.com/firecracker-microvm/firecracker", new Version(1, 8));

    /// <summary>Launched and not attached yet.</summary>
    private readonly ConcurrentDictionary<ProcessIdentity, FirecrackerPlan> _launched = new();

    public string Name => DriverName;

    public DriverCapabilities Capabilities =>
        DriverCapabilities.OwnKernel | DriverCapabilities.Pause | DriverCapabilities.Snapshot | DriverCapabilities.Drives | DriverCapabilities.MemoryReturn
        | DriverCapabilities.IncrementalSnapshot;

    public async Task<DriverStatus> GetStatusAsync(CancellationToken cancellationToken)
    {
        var status = await Status.FindAsync(program, probe, cancellationToken);
        return status.Usable && ProgramLocator.Find(jailer) is { } path ? status with { Reason = $"{status.Reason} {path} shuts it in." } : status;
    }

    public IEnumerable<string> FindErrors(MachineSpec spec)
    {
        if (spec.NestedVirtualization)
            yield return "NestedVirtualization is not possible with Firecracker; choose driver 'qemu'.";
        var further = Math.Max(0, spec.Networks.Count - 1);
        if (spec.Layers.Count + spec.Drives.Count + further >= FirecrackerArguments.MaxDisks)
            yield return $"{spec.Layers.Count} layers, {spec.Drives.Count} drives and {further} further networks are too many for Firecracker; {FirecrackerArguments.MaxDisks - 1} together are possible.";
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
        var saved = plan.Restore is null ? new Dictionary<string, string>() : await FirecrackerSnapshot.Files.OpenAsync(plan.Restore, plan.Folder, cancellationToken);
        var user = plan.Lease.UserId;
        var jailed = ProgramLocator.Find(jailer) is { } found ? new { Program = found, Launch = LaunchOf(plan, path) } : null;
        var folder = new RunFolder(jailed is null ? RunFolder.In(plan.Folder) : JailerArguments.RootOf(jailed.Launch), user);
        folder.AddMachine(plan);
        foreach (var (name, file) in saved)
            folder.AddReadable(name, file);

        var console = Path.Combine(plan.Folder, FirecrackerPlan.Console);
        using var pipe = Fifo.Create(console, user);
        folder.AddWritable(FirecrackerPlan.Console, console);
        var process = jailed is null
            ? await VmmJail.StartAsync(folder, FirecrackerArguments.Build(path, plan.HostId, plan.MachineId), needs ?? [], user, kvm.Group, user, [], errors)
            : await VmmJail.StartJailerAsync(folder, JailerArguments.Build(jailed.Program, jailed.Launch), errors);
        try
        {
            _launched[process] = FirecrackerPlan.Of(plan, TimeStampCounter.GetKilohertz()) with { Taps = await LentTaps.LendAsync(plan, process, cancellationToken) };
            return process;
        }
        catch (CommandException) when (!process.IsAlive)
        {
            // It has no network any more: who connects to it is told why it ended.
            return process;
        }
        catch
        {
            await process.KillAsync(time, CancellationToken.None);
            throw;
        }
    }

    public IHypervisor Attach(string folder, MachineRecord record, ProcessIdentity process) => new FirecrackerProcess(
        folder, JailerArguments.FindRoot(Path.Combine(folder, JailFolder)) ?? RunFolder.In(folder), process, _launched.TryRemove(process, out var plan) ? plan : null, time);

    public Task RemoveAsync(string folder, MachineRecord record, CancellationToken cancellationToken) => LentTaps.RemoveAsync(folder, cancellationToken);

    private static JailerLaunch LaunchOf(MachinePlan plan, string path) => new(
        File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path, plan.HostId, plan.MachineId, plan.Lease.UserId, Path.Combine(plan.Folder, JailFolder));
}
