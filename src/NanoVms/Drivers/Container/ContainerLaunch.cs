using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Machines.Cgroups;

namespace NanoVms.Drivers.Container;

/// <summary>Starts one container by an OCI runtime.</summary>
/// <param name="Runtime">crun or runc.</param>
internal sealed record ContainerLaunch(MachinePlan Plan, string Runtime, string AgentPath, ContainerUsers Users, Namespaces Namespaces, ContainerConsole Console)
{
    public const string AgentSocket = "agent.sock";
    private const string LayerLabel = "nanovms-layer";
    private const string ProcessFile = "container.pid";

    /// <summary>The runtime's own files about the container, which nobody else reads: gone with the machine's folder.</summary>
    private const string StateFolder = "runtime";
    private const int MaxOpenFiles = 65536;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <summary>An argument of all of a container's processes that are ours.</summary>
    public static string NameOf(string hostId, string machineId) => $"{MarkOf(hostId)}{machineId}";

    public static string MarkOf(string hostId) => $"nanovms-{hostId}-";

    /// <summary>Of the loop devices of one machine's disk and drives.</summary>
    public static string LabelOf(string machineId) => $"nanovms-{machineId}";

    /// <summary>The command that starts the container and ends.</summary>
    public static Command Build(string runtime, string folder, string name) => new(
        runtime,
        [
            "--root", Path.Combine(folder, StateFolder),
            .. runtime == "crun" ? (string[])["--cgroup-manager=cgroupfs"] : [],
            "run", "--bundle", folder, "--pid-file", Path.Combine(folder, ProcessFile), "--detach", "--preserve-fds=1", name,
        ])
    {
        Timeout = Limit,
    };

    /// <summary>As the agent raises it in a guest with a kernel of its own, if this process may have as many.</summary>
    private static int OpenFiles()
    {
        // "Max open files   soft   hard   files"
        var line = File.ReadLines("/proc/self/limits").FirstOrDefault(text => text.StartsWith("Max open files", StringComparison.Ordinal));
        var fields = line?.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields is { Length: > 4 } && int.TryParse(fields[4], CultureInfo.InvariantCulture, out var hard) ? Math.Min(MaxOpenFiles, hard) : MaxOpenFiles;
    }

    /// <remarks>
    /// Blocks, on a thread of its own that nothing may be done on afterwards: its mounts are the container's. Steps: 1 files become block
    /// devices; 2 mounts; 3 configuration; 4 the runtime, which ends as soon as the container runs; 5 its first process.
    /// </remarks>
    /// <exception cref="CommandException">The runtime failed.</exception>
    /// <exception cref="IOException">The kernel refused a device or a mount.</exception>
    public ProcessIdentity Run(SafeHandle listener)
    {
        var (spec, label) = (Plan.Spec, LabelOf(Plan.MachineId));
        var devices = new List<LoopDevice>();
        try
        {
            // 1
            var layers = spec.Layers.Select(path => Loop(path, FileAccess.Read, file => LoopDevice.Share(file, LayerLabel))).ToList();
            var disk = Loop(Plan.DiskPath, FileAccess.ReadWrite, file => LoopDevice.Attach(file, label));
            var drives = spec.Drives
                .Select(drive => Loop(drive.Path, drive.ReadOnly ? FileAccess.Read : FileAccess.ReadWrite, file => LoopDevice.Keep(file, label, drive.ReadOnly)))
                .ToList();

            // 2
            using var userNamespace = Namespaces.OpenUser();
            ContainerMounts.Make(spec, layers, disk, drives, AgentPath, Users, userNamespace);

            // 3
            var name = NameOf(Plan.HostId, Plan.MachineId);
            var config = ContainerConfig.Build(spec, name, MachineCgroup.PathOf(Plan.HostId, Plan.MachineId), Namespaces, [.. drives.Select(drive => drive.Number)], OpenFiles());
            File.WriteAllText(Path.Combine(Plan.Folder, ContainerConfig.FileName), config.ToJsonString());

            // 4
            var exitCode = DetachedProcess.Run(Build(Runtime, Plan.Folder, name), listener, Console.File);
            if (exitCode != 0)
                throw new CommandException($"{Runtime} did not start the container: {Console.Take()}", Runtime, CommandFailure.ExitCode, exitCode);

            // 5
            var id = int.Parse(File.ReadAllText(Path.Combine(Plan.Folder, ProcessFile)), NumberStyles.None, CultureInfo.InvariantCulture);
            return ProcessIdentity.Of(id) ?? throw new CommandException($"The container ended at once: {Console.Take()}", Runtime, CommandFailure.NotStarted);
        }
        finally
        {
            foreach (var device in devices)
                device.Dispose();
        }

        LoopDevice Loop(string path, FileAccess access, Func<SafeFileHandle, LoopDevice> make)
        {
            using var file = File.OpenHandle(path, FileMode.Open, access, FileShare.ReadWrite | FileShare.Delete);
            var device = make(file);
            devices.Add(device);
            return device;
        }
    }
}
