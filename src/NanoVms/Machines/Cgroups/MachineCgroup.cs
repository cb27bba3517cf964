using System.Globalization;
using Microsoft.Extensions.Logging;
using NanoVms.Commands;

namespace NanoVms.Machines.Cgroups;

/// <summary>
/// The control groups of one machine's hypervisor, in every hierarchy that the computer has. A controller that is missing
/// or refuses is reported and leaves its limit out; it never keeps a machine from running.
/// </summary>
internal sealed class MachineCgroup(CgroupLayout layout, string hostId, string machineId, ILogger logger)
{
    private const string Parent = "byteport";
    private const int MaxTasks = 512;
    private const int StartingWeight = 8;

    /// <summary>How the path of every group of a machine begins.</summary>
    public const string Root = $"/{Parent}/";
    private static readonly TimeSpan RemoveLimit = TimeSpan.FromSeconds(2);

    /// <summary>As the OCI configuration of a container names it, the same in every hierarchy.</summary>
    public static string PathOf(string hostId, string machineId) => $"/{Parent}/{hostId}/{machineId}";

    private IEnumerable<string> Folders => layout.Roots.Values.Distinct().Select(FolderIn);

    /// <summary>Makes the groups and sets the limits that hold from the start.</summary>
    public void Create(long memoryBytes)
    {
        foreach (var root in layout.Roots.Values.Distinct())
            Try("create", () => CreateIn(root));
        Apply("memory", root => CgroupLimits.Memory(root.Version, memoryBytes));
        Apply("pids", _ => CgroupLimits.Pids(MaxTasks));
    }

    /// <summary>Moves a process in. Its memory so far stays where it was, so call it right after the start.</summary>
    public void Add(int process)
    {
        foreach (var folder in Folders)
            Try("add", () => File.WriteAllText(Path.Combine(folder, "cgroup.procs"), process.ToString(CultureInfo.InvariantCulture)));
    }

    /// <summary>Host processors' worth of time from now on; null for no limit.</summary>
    public void LimitCpu(double? cpus) => Apply("cpu", root => CgroupLimits.Cpu(root.Version, cpus));

    /// <summary>
    /// Whether the machine goes before others on busy processors: while it starts, when nothing of a tenant's runs in it yet. Else those of
    /// several that are up first would hold up the others.
    /// </summary>
    public void Favor(bool starting) => Apply("cpu", root => CgroupLimits.CpuWeight(root.Version, starting ? StartingWeight : 1));

    /// <summary>What it may read and write of the disks that hold these files.</summary>
    public void LimitIo(IoLimits limits, IEnumerable<string> paths)
    {
        var devices = paths.Select(BlockDevices.DiskOf).Distinct().ToList();
        if (devices.Contains(null))
            Log.DiskUnknown(logger, machineId);
        foreach (var device in devices.OfType<string>())
            Apply("io", root => CgroupLimits.Io(root.Version, device, limits));
    }

    /// <summary>True when the kernel killed the hypervisor because the machine went over its memory limit.</summary>
    public bool RanOutOfMemory()
    {
        if (!layout.Roots.TryGetValue("memory", out var root))
            return false;
        try
        {
            var text = File.ReadAllText(Path.Combine(FolderIn(root), root.Version == 2 ? "memory.events" : "memory.oom_control"));
            return text.Split('\n').Any(line => line.StartsWith("oom_kill ", StringComparison.Ordinal) && !line.EndsWith(" 0", StringComparison.Ordinal));
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>
    /// Kills whatever is left in the groups. The machine's process that we know takes all others with it, but where a start was cut short
    /// there may be one that we do not know.
    /// </summary>
    public async Task KillRestAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (Members() is { Count: > 0 } members && time.GetElapsedTime(started) < RemoveLimit)
        {
            foreach (var member in members)
                await CgroupFreezer.KillAsync(member, time, cancellationToken);
        }
    }

    private List<ProcessIdentity> Members()
    {
        var members = new List<ProcessIdentity>();
        foreach (var folder in layout.Mounts.Select(mount => Path.Combine(mount, Parent, hostId, machineId)))
        {
            try
            {
                members.AddRange(File.ReadLines(Path.Combine(folder, "cgroup.procs"))
                    .Select(line => int.TryParse(line, CultureInfo.InvariantCulture, out var id) ? ProcessIdentity.Of(id) : null)
                    .OfType<ProcessIdentity>());
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Not in this hierarchy.
            }
        }

        return [.. members.DistinctBy(member => member.Id)];
    }

    /// <summary>Takes the groups away; the kernel needs a moment after the last process ended.</summary>
    public async Task RemoveAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        foreach (var folder in layout.Mounts.Select(mount => Path.Combine(mount, Parent, hostId, machineId)))
        {
            while (Directory.Exists(folder))
            {
                try
                {
                    Directory.Delete(folder);
                }
                catch (IOException) when (time.GetElapsedTime(started) < RemoveLimit)
                {
                    // A child of a killed start may have joined only now.
                    await KillRestAsync(time, cancellationToken);
                    await Task.Delay(TimeSpan.FromMilliseconds(5), time, cancellationToken);
                }
                catch (IOException e)
                {
                    Log.CgroupFailed(logger, machineId, "remove", e.Message);
                    break;
                }
            }
        }
    }

    /// <summary>Ids of the machines that have groups.</summary>
    public static IReadOnlyList<string> FindMachines(CgroupLayout layout, string hostId) =>
    [
        .. layout.Mounts
            .Select(mount => Path.Combine(mount, Parent, hostId))
            .Where(Directory.Exists)
            .SelectMany(Directory.EnumerateDirectories)
            .Select(path => Path.GetFileName(path)!)
            .Distinct(),
    ];

    /// <summary>Takes the host's own, by then empty, groups away.</summary>
    public static void RemoveHost(CgroupLayout layout, string hostId)
    {
        foreach (var mount in layout.Mounts)
        {
            foreach (var folder in new[] { Path.Combine(mount, Parent, hostId), Path.Combine(mount, Parent) })
            {
                try
                {
                    Directory.Delete(folder);
                }
                catch (IOException)
                {
                    // Another host's machines are in it, or it was never made.
                }
            }
        }
    }

    private string FolderIn(CgroupRoot root) => Path.Combine(root.Path, Parent, hostId, machineId);

    private void CreateIn(CgroupRoot root)
    {
        if (root.Version == 2)
        {
            // A version 2 group has only the controllers that its parent passes on.
            var controllers = string.Join(' ', layout.Roots.Where(r => r.Value == root).Select(r => $"+{r.Key}"));
            foreach (var parent in new[] { root.Path, Path.Combine(root.Path, Parent), Path.Combine(root.Path, Parent, hostId) })
            {
                _ = Directory.CreateDirectory(parent);
                Try("delegate", () => File.WriteAllText(Path.Combine(parent, "cgroup.subtree_control"), controllers));
            }
        }

        _ = Directory.CreateDirectory(FolderIn(root));
    }

    private void Apply(string controller, Func<CgroupRoot, IEnumerable<(string File, string Content)>> limits)
    {
        if (!layout.Roots.TryGetValue(controller, out var root))
            return;
        foreach (var (file, content) in limits(root))
        {
            var path = Path.Combine(FolderIn(root), file);
            // Swap accounting, for one, is a kernel option.
            if (File.Exists(path))
                Try(controller, () => File.WriteAllText(path, content));
        }
    }

    private void Try(string what, Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.CgroupFailed(logger, machineId, what, e.Message);
        }
    }
}
