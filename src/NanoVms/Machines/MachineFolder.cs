using System.Text;
using Microsoft.Extensions.Logging;
using NanoVms.Commands;
using NanoVms.Drivers;
using NanoVms.Machines.Cgroups;
using NanoVms.Network;

namespace NanoVms.Machines;

/// <summary>What an earlier host left in a folder, sorted: machines that live, machines that died, and orphans, which are removed.</summary>
/// <param name="Alive">Their process is there; their monitor has not been asked.</param>
/// <param name="Asleep">Kept until somebody wakes or stops them.</param>
/// <param name="Ended">Kept for their reason until somebody stops them.</param>
internal sealed record MachineFolder(MachineContext Context, IReadOnlyList<MachineParts> Alive, IReadOnlyList<MachineParts> Asleep, IReadOnlyList<MachineParts> Ended)
{
    private const string LockName = "host.lock";
    private const int MaxCommandLine = 64 * 1024;
    private static readonly TimeSpan LockLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan MonitorLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(50);

    /// <summary>Makes the folder and takes its lock, which ends with this process; waits a moment for a host that is closing.</summary>
    public static async Task<FileStream> LockAsync(string folder, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!Path.IsPathRooted(folder))
            throw new MachineException($"The machines' folder '{folder}' is not an absolute path.");
        _ = Directory.CreateDirectory(MachinesIn(folder), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var path = Path.Combine(folder, LockName);
        var started = time.GetTimestamp();
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (time.GetElapsedTime(started) < LockLimit)
            {
                await Task.Delay(Retry, time, cancellationToken);
            }
            catch (IOException e)
            {
                throw new MachineException($"Another process has the machines in {folder} open ({path} is locked). Stop it first.", e) { IsTransient = true };
            }
        }
    }

    /// <summary>Steps: 1 read, 2 end processes that belong to no living machine, 3 network with the living, 4 remove the rest.</summary>
    public static async Task<MachineFolder> SortAsync(
        MachineHostOptions options, MachineDrivers drivers, ILoggerFactory loggerFactory, TimeProvider time, CancellationToken cancellationToken)
    {
        var logger = loggerFactory.CreateLogger<MachineHost>();
        var mode = HostModes.Current;
        var hostId = HostNetworks.IdOf(mode, options.Folder, options.Network);

        // 1
        var records = Read(options.Folder);
        var alive = records.Where(r => r is { Phase: MachinePhase.Running, Process.IsAlive: true }).DistinctBy(r => r.Place).ToList();
        var asleep = records.Where(r => r is { Phase: MachinePhase.Suspended, IsStopping: false }).ToList();
        var ended = records
            // One whose end was asked for has no failure to tell of: it is removed with the orphans.
            .Where(r => !r.IsStopping && (r.Phase == MachinePhase.Ended || (r is { Phase: MachinePhase.Running } && !alive.Contains(r))))
            .Select(r => r.Phase == MachinePhase.Ended ? r : r with { Phase = MachinePhase.Ended, FailureReason = WhyDead(r) })
            .ToList();

        // 2
        foreach (var process in FindProcesses(drivers, hostId, HostNetworks.MarkOf(mode, options.Folder)).Where(p => alive.All(r => r.Process!.Id != p.Id && r.Uplink?.Id != p.Id)))
            await CgroupFreezer.KillAsync(process, time, cancellationToken);

        // 3
        var network = await HostNetworks.OpenAsync(mode, options.Folder, options.Network, made => PortsOf(alive, made), loggerFactory, time, cancellationToken);
        var context = new MachineContext(mode, MachinesIn(options.Folder), network, CgroupLayout.OfThisComputer(), drivers, logger, time);
        if (context.Cgroups.Missing.ToList() is { Count: > 0 } missing)
            Cgroups.Log.ControllersMissing(logger, string.Join(", ", missing));
        foreach (var record in alive.Concat(asleep))
        {
            _ = network.Pool.TryTake(record.Place);
            foreach (var card in record.Cards)
                network.Networks.TryTake(card.Network, card.Place);
            context.Pci.Adopt(record.Id, record.PciLoans);
        }

        // 4
        var aliveParts = alive.Select(r => new MachineParts(context, r)).ToList();
        foreach (var parts in aliveParts.Where(parts => Directory.Exists(parts.SleepFolder)))
            Directory.Delete(parts.SleepFolder, recursive: true);
        var asleepParts = asleep.Select(r => new MachineParts(context, r with { Process = null })).ToList();
        foreach (var parts in asleepParts)
        {
            // What a crash in the middle of falling asleep or waking left.
            parts.Update(r => r);
            await parts.ReleaseAsync(keepsDisk: true);
        }

        var endedParts = ended.Select(r => new MachineParts(context, r)).ToList();
        foreach (var parts in endedParts)
        {
            parts.Update(r => r);
            await parts.ReleaseAsync();
        }

        await RemoveOrphansAsync(context, [.. alive.Concat(asleep).Concat(ended).Select(r => r.Id)]);
        return new MachineFolder(context, aliveParts, asleepParts, endedParts);
    }

    /// <summary>Asks an adopted machine's monitor what it does.</summary>
    public static async Task<MachineState> ConnectAsync(IHypervisor hypervisor, TimeProvider time, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await hypervisor.ConnectAsync(cancellationToken);
            }
            catch (HypervisorException) when (hypervisor.Identity.IsAlive && time.GetElapsedTime(started) < MonitorLimit)
            {
                await Task.Delay(Retry, time, cancellationToken);
            }
            catch (HypervisorException)
            {
                // A hypervisor that does not answer cannot be kept: its end is seen as any other.
                await hypervisor.Identity.KillAsync(time, cancellationToken);
                hypervisor.GiveUp("The hypervisor did not answer after a restart of the host.");
                return MachineState.Running;
            }
        }
    }

    /// <summary>Ends and removes everything, in whatever state it is.</summary>
    public static async Task DestroyAsync(
        MachineHostOptions options, ILoggerFactory loggerFactory, TimeProvider time, CancellationToken cancellationToken)
    {
        var logger = loggerFactory.CreateLogger<MachineHost>();
        var mode = HostModes.Current;
        var hostId = HostNetworks.IdOf(mode, options.Folder, options.Network);
        var drivers = new MachineDrivers(mode, options.CacheFolder, options.KvmProbeLimit, loggerFactory, time);
        var records = Read(options.Folder);
        var processes = records.SelectMany(r => new[] { r.Process, r.Uplink }).OfType<ProcessIdentity>().Concat(FindProcesses(drivers, hostId, HostNetworks.MarkOf(mode, options.Folder)));
        await Task.WhenAll(processes.Select(p => CgroupFreezer.KillAsync(p, time, cancellationToken)));

        await using var network = HostNetworks.ForRemoval(mode, options.Folder, options.Network, loggerFactory, time);
        var context = new MachineContext(mode, MachinesIn(options.Folder), network, CgroupLayout.OfThisComputer(), drivers, logger, time);
        await RemoveOrphansAsync(context, []);
        await network.RemoveAsync(cancellationToken);
        MachineCgroup.RemoveHost(context.Cgroups, hostId);
        Directory.Delete(options.Folder, recursive: true);
    }

    private static string MachinesIn(string folder) => Path.Combine(folder, "machines");

    private static List<MachineRecord> Read(string folder) =>
    [
        .. Directory.EnumerateDirectories(MachinesIn(folder))
            .Select(path => (Path: path, Record: SafeFile.ReadJson(Path.Combine(path, MachineRecord.FileName), MachineJson.Default.MachineRecord)))
            // A file that speaks of another machine than its folder is no evidence of anything.
            .Where(found => found.Record is not null && found.Record.Id == Path.GetFileName(found.Path))
            .Select(found => found.Record!),
    ];

    private static List<(BridgePort Port, IReadOnlyList<PortMapping> Published)> PortsOf(IEnumerable<MachineRecord> records, IHostNetwork network) =>
        [.. records.SelectMany(record => MachineCards.Of(record, network).Select((card, i) => (card.Port, i == 0 ? record.Spec.Ports : [])))];

    private static async Task RemoveOrphansAsync(MachineContext context, HashSet<string> kept)
    {
        var folders = Directory.EnumerateDirectories(context.Folder).Select(path => Path.GetFileName(path)!);
        var groups = MachineCgroup.FindMachines(context.Cgroups, context.Network.HostId);
        foreach (var id in folders.Concat(groups).Distinct().Where(id => !kept.Contains(id)).ToList())
        {
            if (SafeFile.ReadJson(Path.Combine(context.FolderOf(id), MachineRecord.FileName), MachineJson.Default.MachineRecord) is { } record)
            {
                if (context.Drivers.Find(record.Driver) is { } driver)
                    await driver.RemoveAsync(context.FolderOf(id), record, CancellationToken.None);
                context.Pci.TakeBack(id, record.PciLoans);
            }

            await context.CgroupOf(id).RemoveAsync(context.Time, CancellationToken.None);
            if (Directory.Exists(context.FolderOf(id)))
                Directory.Delete(context.FolderOf(id), recursive: true);
            Log.OrphanRemoved(context.Logger, id);
        }
    }

    private static string WhyDead(MachineRecord record) => record.Process is { } process && process.IsOfEarlierBoot
        ? "The computer was restarted."
        : "The hypervisor's process ended while nobody watched it.";

    /// <summary>Every process of the computer whose arguments carry the host's mark, or its network's.</summary>
    private static IEnumerable<ProcessIdentity> FindProcesses(MachineDrivers drivers, string hostId, string? mark)
    {
        var marks = drivers.All.Select(driver => driver.ProcessMark(hostId)).Append(mark).OfType<string>().Select(Encoding.UTF8.GetBytes).ToList();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), out var id) && HasArgument(folder, marks) && ProcessIdentity.Of(id) is { } process)
                yield return process;
        }
    }

    private static bool HasArgument(string folder, List<byte[]> starts)
    {
        try
        {
            using var file = File.OpenHandle(Path.Combine(folder, "cmdline"));
            var buffer = new byte[MaxCommandLine];
            var length = RandomAccess.Read(file, buffer, 0);
            // Arguments end with a zero byte, so one that follows another begins after one.
            return starts.Any(start => buffer.AsSpan(0, length).IndexOf(start) is > 0 and var found && buffer[found - 1] == 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
