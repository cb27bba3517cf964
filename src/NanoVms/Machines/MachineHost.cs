using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using NanoVms.Drivers;
using NanoVms.Images;
using NanoVms.Images.Collection;
using NanoVms.Network;
using NanoVms.Pci;
using NanoVms.Snapshots;

namespace NanoVms.Machines;

/// <summary>
/// The machines of one folder. They are processes of their own: closing this object, or the end of this process, leaves them running,
/// and the next host of the folder adopts them. One host at a time may have a folder open. Thread safe.
/// </summary>
public sealed class MachineHost : IAsyncDisposable
{
    /// <summary>For a stop that a crash of the host cut: how much grace was left is not known.</summary>
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(10);

    private readonly MachineHostOptions _options;
    private readonly MachineContext _context;
    private readonly FileStream _lock;
    private readonly MachineStarter _starter;
    private readonly MachineSleep _sleep;
    private readonly ConcurrentDictionary<string, Machine> _machines = new();
    private readonly ConcurrentDictionary<string, MachineLife> _lives = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly SemaphoreSlim _booting = new(Math.Max(2, Environment.ProcessorCount));
    private readonly ConcurrentDictionary<string, byte> _disks = new();
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _starts = [];
    private Task<BootFiles>? _boot;
    private volatile BootFiles? _registered;
    private bool _closed;

    private MachineHost(MachineHostOptions options, MachineContext context, FileStream folderLock)
    {
        _options = options;
        _context = context;
        _lock = folderLock;
        _starter = new MachineStarter(context, options);
        _sleep = new MachineSleep(context, _starter, _booting, GetBootFilesAsync, Forget);
    }

    /// <summary>Those that run and those that ended and were not stopped yet; not those that are still starting.</summary>
    public IReadOnlyCollection<Machine> Machines => [.. _machines.Values];

    /// <summary>
    /// Opens a folder: repairs the network, adopts the machines that are alive, shows those that died as <see cref="MachineState.Failed"/>,
    /// and removes what a crash left half made.
    /// </summary>
    /// <exception cref="MachineException">Another process has the folder open.</exception>
    /// <exception cref="NetworkException">The network cannot be set up; the message says what to do.</exception>
    public static async Task<MachineHost> OpenAsync(
        MachineHostOptions options, ILoggerFactory loggerFactory, TimeProvider time, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(loggerFactory);
        ArgumentNullException.ThrowIfNull(time);
        var folderLock = await MachineFolder.LockAsync(options.Folder, time, cancellationToken);
        try
        {
            await RegisterAsync(options, [], time, cancellationToken);
            var drivers = new MachineDrivers(HostModes.Current, options.CacheFolder, options.KvmProbeLimit, loggerFactory, time);
            var found = await MachineFolder.SortAsync(options, drivers, loggerFactory, time, cancellationToken);
            var host = new MachineHost(options, found.Context, folderLock);
            try
            {
                await Task.WhenAll(found.Alive.Select(parts => host.AdoptAsync(parts, cancellationToken)));
                foreach (var parts in found.Asleep)
                    _ = host.Add(host._sleep.Sleeping(parts));
                foreach (var parts in found.Ended)
                    host.Add(new MachineLife(found.Context, parts, null, null, () => host.Forget(parts.Record.Id))).ShowEnded();
                return host;
            }
            catch
            {
                await host.DisposeAsync();
                throw;
            }
        }
        catch
        {
            await folderLock.DisposeAsync();
            throw;
        }
    }

    /// <summary>Ends every machine of the folder and removes them, their network and the folder. Works whatever state they are in.</summary>
    /// <exception cref="MachineException">Another process has the folder open.</exception>
    public static async Task DestroyAsync(
        MachineHostOptions options, ILoggerFactory loggerFactory, TimeProvider time, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(loggerFactory);
        ArgumentNullException.ThrowIfNull(time);
        await using var folderLock = await MachineFolder.LockAsync(options.Folder, time, cancellationToken);
        await MachineFolder.DestroyAsync(options, loggerFactory, time, cancellationToken);
        new ImageStore(options.CacheFolder, time).Forget(ImageUsers.OfMachines(options.Folder, []).Id);
    }

    public Machine? Find(string id) => _machines.GetValueOrDefault(id);

    /// <summary>
    /// Boots a machine and returns once its agent has started the main process; without one, once the guest is configured.
    /// As many machines boot at a time as the computer has processors; more wait their turn.
    /// </summary>
    /// <exception cref="MachineException">It did not come up. Nothing of it is left, as after a cancellation.</exception>
    public Task<Machine> StartAsync(MachineSpec spec, ProcessSpec? main, CancellationToken cancellationToken) =>
        StartAsync(spec, main, null, cancellationToken);

    /// <summary>The same, with what is done in the guest before the main process starts.</summary>
    /// <exception cref="MachineException">As of the other, or the setup failed.</exception>
    public Task<Machine> StartAsync(MachineSpec spec, ProcessSpec? main, MachineSetup? setup, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(spec);
        return BringUpAsync(spec, (driver, boot) => new MachineBoot(driver, spec, boot, main, setup), cancellationToken);
    }

    /// <summary>
    /// Starts a machine from a snapshot, as often as you like: each has its own address, name, clock and randomness, and goes on where the saved one was. Connections over the network do not.
    /// </summary>
    /// <param name="change">What is different from the saved machine: name, labels, owner, hosts and limits may be, hardware and layers may not.</param>
    /// <exception cref="SnapshotException">There is no snapshot in the folder.</exception>
    /// <exception cref="MachineException">It did not come up, for example because the snapshot is damaged. Nothing of it is left, as after a cancellation.</exception>
    public Task<Machine> RestoreAsync(string folder, Func<MachineSpec, MachineSpec>? change, CancellationToken cancellationToken) =>
        RestoreAsync(folder, change, boots: false, null, cancellationToken);

    /// <summary>The same; should what was saved of its memory be damaged, it boots with its saved disk, and <see cref="Machine.BootedInstead"/> says why.</summary>
    /// <param name="main">What a machine that boots runs; without it one that had a main process is refused.</param>
    /// <exception cref="SnapshotException">As of the other.</exception>
    /// <exception cref="MachineException">As of the other; also when the disk is damaged.</exception>
    public Task<Machine> RestoreAsync(string folder, Func<MachineSpec, MachineSpec>? change, ProcessSpec? main, CancellationToken cancellationToken) =>
        RestoreAsync(folder, change, boots: true, main, cancellationToken);

    private async Task<Machine> RestoreAsync(string folder, Func<MachineSpec, MachineSpec>? change, bool boots, ProcessSpec? main, CancellationToken cancellationToken)
    {
        var snapshot = SnapshotManifest.Read(folder);
        // What two machines must not share stays with the saved one.
        var saved = snapshot.Spec with { Driver = snapshot.Driver, DiskPath = null, SharedFolders = [] };
        var spec = change?.Invoke(saved) ?? saved;
        if (spec.Cpus != saved.Cpus || spec.MemoryMiB != saved.MemoryMiB || spec.DiskBytes != saved.DiskBytes || spec.Driver != saved.Driver || spec.DiskPath is not null
            || spec.MachineType != saved.MachineType
            || spec.Network != saved.Network || !spec.Networks.SequenceEqual(saved.Networks) || !spec.Layers.SequenceEqual(saved.Layers) || !spec.Drives.SequenceEqual(saved.Drives))
            throw new MachineException($"Snapshot {folder} cannot become another machine: processors, memory, disk, layers, drives, network and driver stay as they were saved.");
        try
        {
            return await BringUpAsync(spec, (driver, boot) => new MachineRestore(driver, spec, boot, folder, snapshot), cancellationToken);
        }
        catch (MachineException e) when (boots && e.InnerException is SnapshotException damage && (main is not null || !snapshot.HasMain))
        {
            Log.BootedInstead(_context.Logger, folder, spec.Name, e.Message);
            return await BringUpAsync(
                spec, (driver, boot) => new MachineBoot(driver, spec, boot, main) { Instead = new MachineBootInstead(folder, snapshot, damage.Message) }, cancellationToken);
        }
    }

    private Task<Machine> BringUpAsync(MachineSpec spec, Func<IMachineDriver, BootFiles, MachineStart> start, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            if (_machines.Count + _starts.Count >= _options.MaxMachines)
            {
                throw new MachineException(
                    $"Machine '{spec.Name}' was not started: {_options.MaxMachines} machines are there already, the most this host may have.")
                { IsTransient = true };
            }

            var starting = StartCoreAsync(spec, start, cancellationToken);
            _ = _starts.Add(starting);
            return TrackAsync(starting);
        }
    }

    /// <summary>The computer's PCI devices by address, each with the machine of this host that has it.</summary>
    public IReadOnlyList<(PciDevice Device, string? Machine)> GetPciDevices() =>
        [.. _context.Pci.List().Select(device => (device, _context.Pci.HolderOf(device.Address)))];

    /// <summary>With which rights machines are run.</summary>
    public HostMode Mode => _context.Mode;

    /// <summary>That of the hosts that this process opens.</summary>
    public static HostMode ModeOfThisProcess => HostModes.Current;

    /// <summary>Private networks, of all owners.</summary>
    public IReadOnlyList<PrivateNetwork> Networks => _context.Network.Networks.List;

    /// <summary>The addresses of a private network.</summary>
    public Ipv4Prefix PrefixOf(PrivateNetwork network)
    {
        ArgumentNullException.ThrowIfNull(network);
        return network.PrefixIn(_context.Network.Networks.All);
    }

    /// <summary>Makes a private network, which machines of the owner can have cards in.</summary>
    /// <param name="name">1 to 39 of <c>a-z 0-9 -</c>, not <c>default</c>.</param>
    /// <param name="most">How many the owner may have.</param>
    /// <exception cref="NetworkException">The name is not possible or there already, or the owner has too many, or the host has no room.</exception>
    public Task<PrivateNetwork> CreateNetworkAsync(string owner, string name, int most, CancellationToken cancellationToken)
    {
        if (!MachineSpecRules.IsName(name, 39) || name == NetworkCard.Default)
            throw new NetworkException($"The network's name '{name}' is not 1 to 39 of a-z, 0-9 and '-', or it is '{NetworkCard.Default}', which all have.");
        return _context.Network.CreateNetworkAsync(owner, name, most, cancellationToken);
    }

    /// <summary>Removes a private network that no machine is in.</summary>
    /// <exception cref="NetworkException">There is none, or machines are in it.</exception>
    public Task RemoveNetworkAsync(string owner, string name, CancellationToken cancellationToken) =>
        _context.Network.Networks.RemoveAsync(owner, name, cancellationToken);

    /// <summary>What each driver can do on this computer, and why not.</summary>
    public async Task<IReadOnlyList<DriverStatus>> GetDriversAsync(CancellationToken cancellationToken) =>
        await Task.WhenAll(_context.Drivers.All.Select(driver => driver.GetStatusAsync(cancellationToken)));

    /// <summary>Lets go of the machines, which run on. Starts that are under way are canceled and undone.</summary>
    public async ValueTask DisposeAsync()
    {
        Task[] starts;
        lock (_gate)
        {
            if (_closed)
                return;
            _closed = true;
            starts = [.. _starts];
        }

        await _closing.CancelAsync();
        await Task.WhenAll(starts).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        await Task.WhenAll(_lives.Values.Select(life => life.DetachAsync()));
        await _context.Network.DisposeAsync();
        await _lock.DisposeAsync();
        _closing.Dispose();
        _booting.Dispose();
    }

    private async Task<Machine> TrackAsync(Task<Machine> start)
    {
        try
        {
            return await start;
        }
        finally
        {
            lock (_gate)
                _ = _starts.Remove(start);
        }
    }

    private async Task<Machine> StartCoreAsync(MachineSpec spec, Func<IMachineDriver, BootFiles, MachineStart> start, CancellationToken cancellationToken)
    {
        // Not on the caller's thread, which holds the lock.
        await Task.Yield();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closing.Token);
        var driver = MachineSpecRules.Check(spec, _context.Drivers, _context.FindErrors);
        var boot = driver.Capabilities.HasFlag(DriverCapabilities.OwnKernel) ? await GetBootFilesAsync(either.Token) : new BootFiles("", "");
        TakeDisk(spec);
        var isBooting = 0;
        try
        {
            await _booting.WaitAsync(either.Token);
            isBooting = 1;
            var (parts, hypervisor, agent) = await _starter.StartAsync(start(driver, boot), EndBoot, either.Token);
            var life = new MachineLife(_context, parts, hypervisor, agent, () => Forget(parts.Record.Id));
            _ = Add(life);
            life.Follow(MachineState.Running);
            var machine = _machines[parts.Record.Id];
            var record = parts.Record;
            Log.Started(_context.Logger, record.Id, spec.Name, record.Process!.Id, machine.Address?.ToString() ?? "none", record.Timings.AgentReady);
            return machine;
        }
        finally
        {
            EndBoot();
            if (spec.DiskPath is { } disk)
                _ = _disks.TryRemove(disk, out _);
        }

        // What a machine runs before its main process may take long, and must not keep others from booting.
        void EndBoot()
        {
            if (Interlocked.Exchange(ref isBooting, 0) == 1)
                _ = _booting.Release();
        }
    }

    /// <summary>Takes the disk that stays, for the time of the start; after it the machine has it.</summary>
    private void TakeDisk(MachineSpec spec)
    {
        if (spec.DiskPath is not { } disk)
            return;
        lock (_disks)
        {
            var holder = _lives.Values.FirstOrDefault(life => life.Record.Spec.DiskPath == disk && !life.Ended.IsCompleted)?.Record.Id;
            if (holder is not null || !_disks.TryAdd(disk, default))
            {
                throw new MachineException(
                    $"Machine '{spec.Name}' was not started: {(holder is null ? "another one that is starting" : $"machine {holder}")} has the disk that stays; one at a time may. Stop that one first.");
            }
        }
    }

    private async Task<BootFiles> GetBootFilesAsync(CancellationToken cancellationToken)
    {
        Task<BootFiles> boot;
        lock (_gate)
        {
            // One preparation for all that start at the same time. Later ones ask again: another kernel may be there by then.
            if (_boot is null or { IsCompleted: true })
                _boot = Task.Run(PrepareBootFilesAsync, CancellationToken.None);
            boot = _boot;
        }

        return await boot.WaitAsync(cancellationToken);
    }

    private async Task<BootFiles> PrepareBootFilesAsync()
    {
        var boot = await _options.Boot(_closing.Token);
        if (boot != _registered)
            await RegisterAsync(_options, [boot.KernelPath, boot.InitramfsPath], _context.Time, _closing.Token);
        return _registered = boot;
    }

    /// <summary>Lets no collection of images take away what these machines stand on.</summary>
    private static Task RegisterAsync(MachineHostOptions options, IReadOnlyList<string> bootFiles, TimeProvider time, CancellationToken cancellationToken) =>
        new ImageStore(options.CacheFolder, time).RegisterAsync(ImageUsers.OfMachines(options.Folder, bootFiles), cancellationToken);

    private async Task AdoptAsync(MachineParts parts, CancellationToken cancellationToken)
    {
        var hypervisor = _context.Drivers.Of(parts.Record).Attach(parts.Folder, parts.Record, parts.Record.Process!);
        if (parts.Record is { Uplink: { } uplink, Process: { } process })
            _context.Network.Follow(parts.CableOf(process), uplink);
        var agent = new AgentLink(parts.Record.Id, hypervisor, _context.Logger, _context.Time);
        var life = Add(new MachineLife(_context, parts, hypervisor, agent, () => Forget(parts.Record.Id)));
        var state = await MachineFolder.ConnectAsync(hypervisor, _context.Time, cancellationToken);
        // It may have been waking.
        _context.CgroupOf(parts.Record.Id).Favor(starting: false);
        if (parts.Record.IsSaving)
            state = await new MachineSaving(_context, parts, life, hypervisor).GoOnAsync(state);
        life.Follow(state);
        if (parts.Record.IsStopping)
            _ = life.StopAsync(StopGrace);
        Log.Adopted(_context.Logger, parts.Record.Id, parts.Record.Spec.Name, state);
    }

    private MachineLife Add(MachineLife life)
    {
        _lives[life.Record.Id] = life;
        _machines[life.Record.Id] = new Machine(life, _sleep, next => _lives[next.Record.Id] = next);
        return life;
    }

    private void Forget(string id)
    {
        _ = _machines.TryRemove(id, out _);
        _ = _lives.TryRemove(id, out _);
    }
}
