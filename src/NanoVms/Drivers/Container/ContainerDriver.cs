using System.Runtime.InteropServices;
using NanoVms.Commands;
using NanoVms.Drivers.Isolation;
using NanoVms.Machines;
using NanoVms.Network;

namespace NanoVms.Drivers.Container;

/// <summary>
/// Runs machines as containers on this computer's kernel, by crun or runc: for computers without virtualization, and for code that is
/// trusted. Layers, disk, network, rules and agent are the same as a virtual machine's.
/// </summary>
internal sealed class ContainerDriver(TimeProvider time) : IMachineDriver
{
    public const string DriverName = "container";
    private const string SharesKernel =
        "Containers share this computer's kernel, so a flaw in the kernel is a way out of them: run code that you trust, or use a driver with a kernel of its own for what you do not.";

    /// <summary>Layers with mapped owners under an overlay.</summary>
    private static readonly Version LeastKernel = new(5, 19);
    private static readonly string[] Runtimes = ["crun", "runc"];
    private static readonly string[] FileSystems = ["erofs", "overlay", "ext4"];

    public string Name => DriverName;

    public DriverCapabilities Capabilities => DriverCapabilities.Pause | DriverCapabilities.Drives | DriverCapabilities.MemoryReturn;

    public string ProcessMark(string hostId) => ContainerLaunch.MarkOf(hostId);

    public long MemoryLimit(MachineSpec spec, bool accelerated) => (long)spec.MemoryMiB << 20;

    /// <summary>Nothing for the agent to find: the host mounts everything.</summary>
    public MachineDevices Devices(MachineSpec spec) => new([], null, new Dictionary<string, string>());

    public IHypervisor Attach(string folder, MachineRecord record, ProcessIdentity process) => new ContainerProcess(folder, process, time);

    public IEnumerable<string> FindErrors(MachineSpec spec)
    {
        if (spec.NestedVirtualization)
            yield return "NestedVirtualization is not possible with a container; choose driver 'qemu'.";
        if (spec.Layers.Count > ContainerMounts.MaxLayers)
            yield return $"{spec.Layers.Count} layers are too many; {ContainerMounts.MaxLayers} are possible.";
        if (spec.DiskPath is not null)
            yield return "A disk that stays is not possible in a container: each container has a range of users of its own, and the files on the disk would be another's. Keep what should stay in a shared folder.";
        if (spec.ReadOnlyRoot)
            yield return "ReadOnlyRoot is not possible in a container: its agent has no right to close the root after setting it up.";
    }

    public async Task<DriverStatus> GetStatusAsync(CancellationToken cancellationToken)
    {
        var missing = new List<string>();
        if (Runtimes.All(runtime => ProgramLocator.Find(runtime) is null))
            missing.Add("Neither crun nor runc is installed. Install one with: apt-get install crun");
        if (ProgramLocator.Find("unshare") is null || ProgramLocator.Find("nsenter") is null)
            missing.Add("unshare and nsenter are missing. Install them with: apt-get install util-linux");
        if (Environment.OSVersion.Version < LeastKernel)
            missing.Add($"The kernel is {Environment.OSVersion.Version.ToString(2)}; layers whose owners are mapped take {LeastKernel} or later.");
        if (!File.Exists("/proc/self/ns/user") || SafeRead("/proc/sys/user/max_user_namespaces").Trim() == "0")
            missing.Add("The kernel has no user namespaces, or /proc/sys/user/max_user_namespaces is 0.");
        foreach (var name in FileSystems)
        {
            if (!await HasAsync(name, () => SafeRead("/proc/filesystems").Split('\n').Any(line => line.EndsWith($"\t{name}", StringComparison.Ordinal)), cancellationToken))
                missing.Add($"The kernel has no file system '{name}', and 'modprobe {name}' does not bring it.");
        }

        if (!await HasAsync("loop", () => File.Exists("/dev/loop-control"), cancellationToken))
            missing.Add("There is no /dev/loop-control, and 'modprobe loop' does not bring it.");
        return missing.Count == 0
            ? new DriverStatus(Name, true, true, SharesKernel)
            : new DriverStatus(Name, false, false, string.Join(' ', missing));
    }

    /// <remarks>Steps: 1 socket and console; 2 namespaces; 3 at the same time network, and mounts with the container itself.</remarks>
    public async Task<ProcessIdentity> LaunchAsync(MachinePlan plan, ErrorTail errors, CancellationToken cancellationToken)
    {
        // What is said goes to the console.
        errors.CloseProgramsEnd();
        if (plan.AgentPath is not { } agent || !File.Exists(agent))
            throw new MachineException($"Machine '{plan.Spec.Name}' did not start: the agent's program is not at '{plan.AgentPath}'; set MachineHostOptions.AgentPath.");
        var runtime = Runtimes.FirstOrDefault(name => ProgramLocator.Find(name) is not null) ?? Runtimes[0];
        _ = Directory.CreateDirectory(PrivateMounts.Folder);

        // 1
        using var console = ContainerConsole.Create(plan.Folder);
        using var listener = UnixSockets.Listen(plan.Folder, ContainerLaunch.AgentSocket);

        // 2
        var users = ContainerUsers.Of(plan.Lease);
        await using var namespaces = await Namespaces.CreateAsync(users, cancellationToken);

        // 3
        var plugging = PlugAsync(plan, namespaces.ProcessId, cancellationToken);
        var launching = LaunchAsync(new ContainerLaunch(plan, runtime, agent, users, namespaces, console), listener);
        try
        {
            await Task.WhenAll(launching, plugging);
            return await launching;
        }
        catch when (launching.IsCompletedSuccessfully)
        {
            await (await launching).KillAsync(time, CancellationToken.None);
            throw;
        }
    }

    /// <summary>The host's work in a container: cables, and whether packets are passed on between them, which its namespace would take over from the host.</summary>
    private static async Task PlugAsync(MachinePlan plan, int process, CancellationToken cancellationToken)
    {
        if (plan.Bridge is not { } bridge)
        {
            _ = await CommandRunner.RunCheckedAsync(IpCommands.BatchIn(process, IpCommands.BringUp("lo")), cancellationToken);
            return;
        }

        if (plan.Cards.Count > 1)
            _ = await CommandRunner.RunCheckedAsync(IpCommands.Forward(process, MachineCards.IsRouter(plan.Spec)), cancellationToken);
        foreach (var (card, _) in plan.Cards)
            await bridge.PlugCableAsync(card.Port, card.Name, card.Guest.PrefixLength, card.Guest.Gateway?.ToString(), process, cancellationToken);
    }

    private static async Task<ProcessIdentity> LaunchAsync(ContainerLaunch launch, SafeHandle listener)
    {
        await launch.Plan.DiskReady;
        return await Aside.RunAsync(() => launch.Run(listener), "container start");
    }

    /// <summary>Disks go with the container's mounts; drives are devices of the computer.</summary>
    public Task RemoveAsync(string folder, MachineRecord record, CancellationToken cancellationToken)
    {
        LoopDevice.Remove(ContainerLaunch.LabelOf(record.Id));
        return Task.CompletedTask;
    }

    private static async Task<bool> HasAsync(string module, Func<bool> look, CancellationToken cancellationToken)
    {
        if (look())
            return true;
        try
        {
            _ = await CommandRunner.RunAsync(new Command("modprobe", module), cancellationToken);
        }
        catch (CommandException)
        {
            // Not a kernel with modules.
        }

        return look();
    }

    private static string SafeRead(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
