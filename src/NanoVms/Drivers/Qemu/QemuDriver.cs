using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Drivers.Isolation;
using NanoVms.Images;
using NanoVms.Machines;

namespace NanoVms.Drivers.Qemu;

/// <summary>
/// Starts machines as QEMU processes that outlive this one. Each runs as a user of its own, without capabilities, in namespaces of its own
/// with an empty network and, once it has started, an empty root. It uses only the files that it was handed open: disks, tap, two listening sockets.
/// </summary>
internal sealed class QemuDriver(HostMode mode, string cacheFolder, TimeSpan probeLimit, ILogger logger, TimeProvider time) : IMachineDriver
{
    public const string DriverName = "qemu";
    public const string AgentSocket = "agent.sock";
    private const string DiskSerial = "disk";
    private const string WithoutUserNamespaces =
        "This kernel gives no user namespaces (/proc/sys/user/max_user_namespaces), so QEMU has a user of its own and no rights, but in the computer's namespace of users.";

    /// <summary>MiB that QEMU itself may use beside the guest's memory and translated code.</summary>
    private const int OwnMiB = 128;

    /// <summary>MiB that may be locked beside the guest's memory.</summary>
    private const int LockedMiB = 512;

    private readonly IJail _jail = mode == HostMode.Root ? new RootJail() : new UserJail(time);
    private readonly Lock _gate = new();
    private readonly QemuTemplates _templates = new(time);
    private Task<KvmAnswer>? _kvm;

    public static string LayerSerial(int index) => string.Create(CultureInfo.InvariantCulture, $"layer{index}");

    public static string DriveSerial(DriveSpec drive) => $"d-{drive.Name}";

    public string Name => DriverName;

    public DriverCapabilities Capabilities =>
        DriverCapabilities.OwnKernel | DriverCapabilities.Pause | DriverCapabilities.Snapshot | DriverCapabilities.Drives | DriverCapabilities.MemoryReturn
        | DriverCapabilities.PciDevices | DriverCapabilities.IncrementalSnapshot;

    public MachineDevices Devices(MachineSpec spec) =>
        new([.. spec.Layers.Select((_, i) => LayerSerial(i))], DiskSerial, spec.Drives.ToDictionary(d => d.Name, DriveSerial));

    public IEnumerable<string> FindErrors(MachineSpec spec)
    {
        var further = Math.Max(0, spec.Networks.Count - 1);
        if (spec.Layers.Count + spec.Drives.Count + further >= QemuArguments.MaxDisks)
            yield return $"{spec.Layers.Count} layers, {spec.Drives.Count} drives and {further} further networks are too many; {QemuArguments.MaxDisks - 1} together are possible.";
    }

    public string ProcessMark(string hostId) => QemuArguments.GuestMark(hostId);

    public IHypervisor Attach(string folder, MachineRecord record, ProcessIdentity process) => new QemuProcess(folder, process, _jail, time);

    public long MemoryLimit(MachineSpec spec, bool accelerated) =>
        (spec.MemoryMiB + OwnMiB + (8L * spec.Cpus) + (accelerated ? 0 : 2 * QemuArguments.TranslationMiB(spec.MemoryMiB))) << 20;

    public async Task<DriverStatus> GetStatusAsync(CancellationToken cancellationToken)
    {
        try
        {
            _ = ProgramLocator.Require(QemuArguments.Program);
            if (await _jail.FindFaultAsync(cancellationToken) is { } fault)
                return new DriverStatus(Name, false, false, fault);
            var kvm = await ProbeAsync(cancellationToken);
            var speed = kvm.IsUsable ? kvm.Reason : $"{kvm.Reason} Machines run by emulation (TCG): as isolated, but slower.";
            return new DriverStatus(Name, true, kvm.IsUsable, Jail.HasUserNamespaces ? $"{speed} {mode.Describe()}" : $"{speed} {WithoutUserNamespaces}");
        }
        catch (CommandException e)
        {
            return new DriverStatus(Name, false, false, e.Message);
        }
    }

    /// <summary>Whether KVM is used, found out once.</summary>
    public Task<KvmAnswer> ProbeAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            // Not canceled by one caller: others wait for the same answer. It takes two seconds at most.
            if (_kvm is null or { IsFaulted: true })
                _kvm = AskAsync();
            return _kvm.WaitAsync(cancellationToken);
        }
    }

    public async Task<ProcessIdentity> LaunchAsync(MachinePlan plan, ErrorTail errors, CancellationToken cancellationToken)
    {
        var kvm = await ProbeAsync(cancellationToken);
        var bytes = (long)plan.Spec.MemoryMiB << 20;
        if (plan.Restore is null)
            return await StartAsync(_jail, plan, kvm, QemuMemory.Create(bytes), errors);
        var (memory, ready) = _templates.Open(plan.Restore, bytes);
        var process = await StartAsync(_jail, plan, kvm, memory, errors);
        try
        {
            await ready.WaitAsync(cancellationToken);
            return process;
        }
        catch
        {
            await process.KillAsync(time, CancellationToken.None);
            throw;
        }
    }

    /// <summary>All that QEMU opens by name: itself, its modules, firmware and the device of KVM. What else it uses it is handed.</summary>
    private static JailPlan JailOf(MachinePlan plan, KvmAnswer kvm) => new(
        [
            ProgramLocator.Require("setpriv"), ProgramLocator.Require("unshare"), ProgramLocator.Require(QemuArguments.Program),
            "/usr/share/qemu", "/usr/share/seabios", "/usr/share/OVMF", "/usr/local/share/qemu",
            // It finds the computer's devices by sysfs.
            .. plan.PciDevices.Count > 0 ? [ProgramLocator.Require("prlimit"), "/sys"] : (string[])[],
        ],
        [
            .. kvm.IsUsable ? ["/dev/kvm"] : (string[])[],
            // Where its tap is in its own network it opens it by name.
            .. plan.Cards.Any(card => card.Tap is null) ? ["/dev/net/tun"] : (string[])[],
            .. plan.PciDevices.Count > 0 ? ["/dev/vfio/vfio", .. plan.PciGroups.Select(group => string.Create(CultureInfo.InvariantCulture, $"/dev/vfio/{group}"))] : (string[])[],
        ])
    {
        // Only with devices may memory be locked.
        LockedBytes = plan.PciDevices.Count > 0 ? (plan.Spec.MemoryMiB + LockedMiB) * (1L << 20) : null,
    };

    private static bool IsPc(MachineSpec spec) => spec.MachineType == MachineType.Q35 || spec.PciDevices.Count + spec.PciKinds.Count > 0;

    private static async Task<ProcessIdentity> StartAsync(IJail jail, MachinePlan plan, KvmAnswer kvm, SafeFileHandle guestMemory, ErrorTail errors)
    {
        var files = new List<SafeHandle>();
        var owned = new List<SafeHandle>();
        try
        {
            var kernel = Open(plan.Boot.KernelPath, FileAccess.Read);
            var initramfs = Open(plan.Boot.InitramfsPath, FileAccess.Read);
            var memory = Own(guestMemory);
            var agent = Own(UnixSockets.Listen(plan.Folder, AgentSocket));
            var monitor = Own(UnixSockets.Listen(plan.Folder, QemuInstance.MonitorSocket));
            files.AddRange(plan.Cards.Select(card => card.Tap).OfType<SafeHandle>());
            List<(int File, string Serial, bool ReadOnly, bool IsEphemeral)> disks =
            [
                .. plan.Spec.Layers.Select((path, i) => (Open(path, FileAccess.Read), LayerSerial(i), true, false)),
                (Open(plan.DiskPath, FileAccess.ReadWrite), DiskSerial, false, plan.Spec.DiskPath is null),
                .. plan.Spec.Drives.Select(d => (Open(d.Path, d.ReadOnly ? FileAccess.Read : FileAccess.ReadWrite), DriveSerial(d), d.ReadOnly, false)),
            ];

            var numbers = DetachedProcess.NumbersFor(files);
            var launch = new QemuLaunch
            {
                HostId = plan.HostId,
                MachineId = plan.MachineId,
                Cpus = plan.Spec.Cpus,
                MemoryMiB = plan.Spec.MemoryMiB,
                // Opened through the inherited file: the process may not even look into the folder that it lies in.
                KernelPath = $"/proc/self/fd/{Number(kernel)}",
                InitramfsPath = $"/proc/self/fd/{Number(initramfs)}",
                CommandLine = GuestKernel.CommandLine(TimeStampCounter.GetKilohertz(), kvm.IsUsable, console: true, quiet: !plan.Spec.BootMessages, small: plan.Boot.IsSmall),
                Accelerated = kvm.IsUsable,
                IsPc = IsPc(plan.Spec),
                Disks = [.. disks.Select(d => new QemuDisk(d.Serial, numbers[d.File], d.ReadOnly, d.IsEphemeral))],
                Io = plan.Io,
                MemoryFile = numbers[memory],
                IsNested = plan.Spec.NestedVirtualization,
                PciDevices = plan.PciDevices,
                IsRestored = plan.Restore is not null,
                AgentFile = numbers[agent],
                MonitorFile = numbers[monitor],
                Cards = [.. plan.Cards.Select(card => card.Tap is { } tap ? QemuCard.Of(numbers[files.IndexOf(tap)], card.Card.Port.Lease.Mac) : QemuCard.Of(card.Card.Port.Lease.Tap, card.Card.Port.Lease.Mac))],
                Mtu = plan.Mtu,
            };
            var command = new Command(QemuArguments.Program, QemuArguments.Build(launch));
            return await jail.StartAsync(JailOf(plan, kvm), command, (plan.Lease.UserId, kvm.Group), files, errors.ProgramsEnd, plan.Connect);

            string Number(int file) => numbers[file].ToString(CultureInfo.InvariantCulture);
        }
        finally
        {
            errors.CloseProgramsEnd();
            foreach (var handle in owned)
                handle.Dispose();
        }

        int Open(string path, FileAccess access) => Own(File.OpenHandle(path, FileMode.Open, access, FileShare.ReadWrite | FileShare.Delete));

        int Own(SafeHandle handle)
        {
            owned.Add(handle);
            files.Add(handle);
            return files.Count - 1;
        }
    }

    private async Task<KvmAnswer> AskAsync()
    {
        var answer = await KvmProbe.AskAsync(mode, cacheFolder, probeLimit, time, CancellationToken.None);
        if (answer.IsUsable)
            Log.Accelerated(logger);
        else
            Log.Emulated(logger, answer.Reason);
        return answer;
    }
}
