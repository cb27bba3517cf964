using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using BytePort.Manifest.Hac;
using BytePort.Server.Hosting;
using BytePort.Server.Machines.Disks;
using BytePort.Server.Machines.Templates;
using NanoVms.Images;
using NanoVms.Images.Collection;
using NanoVms.Machines;
using NanoVms.Network;
using NanoVms.Snapshots;
using NanoVms.Systems;

namespace BytePort.Server.Machines;

/// <summary>
/// Machines by themselves: those that belong to a team and to no project. HTTP and gRPC both stand on this. A machine's label holds the
/// request that it came from, so the machine is all the state there is and outlives this process with it.
/// </summary>
internal sealed class MachineService(
    MachineHost host, ImageStore images, SystemStore systems, MachineLogs logs, TemplateStore templates, DiskStore disks, ServerOptions options, ILogger<MachineService> logger)
{
    /// <summary>The most that a team may have at once.</summary>
    public const int MaxPerTeam = 50;

    public static readonly TimeSpan DefaultGrace = TimeSpan.FromSeconds(30);

    private const string RequestLabel = "byteport.machine";
    private const string EnvironmentLabel = "byteport.environment";
    private const string MainLabel = "byteport.main";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, int> _starting = [];

    /// <summary>True for a machine that was spawned here.</summary>
    public static bool IsByItself(Machine machine) => machine.Spec.Labels.ContainsKey(RequestLabel);

    /// <summary>The request that a machine by itself came from.</summary>
    public static MachineRequest RequestOf(Machine machine) =>
        JsonSerializer.Deserialize<MachineRequest>(machine.Spec.Labels[RequestLabel], Json)!;

    /// <summary>The team's machines, oldest first; also those that ended and were not stopped yet.</summary>
    public IReadOnlyList<Machine> List(Guid team) =>
        [.. host.Machines.Where(machine => IsByItself(machine) && machine.Spec.Owner == OwnerOf(team)).OrderBy(machine => machine.StartedAt)];

    /// <exception cref="MachineFaultException">The team has no such machine.</exception>
    public Machine Get(Guid team, string id) =>
        host.Find(id) is { } machine && IsByItself(machine) && machine.Spec.Owner == OwnerOf(team)
            ? machine
            : throw new MachineFaultException(MachineFault.NotFound, $"There is no machine '{(id.Length <= 40 ? id : $"{id[..40]}…")}' in your team.");

    /// <summary>Checks what can be checked without starting anything: the values, the driver and the image, which is made or fetched if need be.</summary>
    /// <exception cref="MachineFaultException">It could not be spawned.</exception>
    public async Task CheckAsync(Guid team, MachineRequest request, CancellationToken cancellationToken)
    {
        using var use = images.BeginUse();
        _ = await PrepareAsync(team, request, use, cancellationToken);
    }

    /// <summary>Starts a machine; returns when its main process runs, or without one when the guest is ready. Canceling undoes all of it.</summary>
    /// <exception cref="MachineFaultException">It could not be started.</exception>
    public Task<Machine> SpawnAsync(Guid team, MachineRequest request, CancellationToken cancellationToken) => SpawnAsync(team, request, null, cancellationToken);

    /// <summary>The same, and tells what the guest writes to its console meanwhile.</summary>
    /// <exception cref="MachineFaultException">It could not be started.</exception>
    public async Task<Machine> SpawnAsync(Guid team, MachineRequest request, Action<ConsoleChunk>? onConsole, CancellationToken cancellationToken)
    {
        Reserve(team);
        try
        {
            using var template = request.Template is null ? null : await templates.TakeAsync(team, request.Template, cancellationToken);
            using var use = images.BeginUse();
            var image = await PrepareAsync(team, request, use, cancellationToken);
            var environment = new Dictionary<string, string>(image.Environment);
            foreach (var (name, value) in request.Environment)
                environment[name] = value;
            var spec = new MachineSpec
            {
                Name = request.Name,
                Cpus = (int)request.Cores,
                MemoryMiB = (int)request.MemoryMiB,
                DiskBytes = request.DriveBytes,
                Layers = image.Layers,
                Network = request.Interfaces.Count == 0 ? NetworkMode.None : NetworkMode.Nat,
                Networks = [.. request.Interfaces.Select(name => new NetworkCard(name, request.Routes.Contains(name)))],
                Ports = [.. request.Ports.Select(pair => new PortMapping(pair.Key, pair.Value, HostAddress: HostAddress()))],
                Owner = OwnerOf(team),
                Group = GroupOf(team),
                GroupName = request.Name,
                StopSignal = image.StopSignal,
                Driver = request.Driver,
                DiskPath = request.IsPersistent ? disks.PathFor(team, request.Name) : null,
                MachineType = Enum.Parse<MachineType>(request.MachineType, ignoreCase: true),
                BootMessages = request.BootMessages,
                PciDevices = request.PciDevices,
                PciKinds = request.PciKinds,
                NestedVirtualization = request.NestedVirtualization,
                Rate = SpecLimits.RateOf(request.Limits, options.MachineLimits),
                Io = SpecLimits.IoOf(request.Limits, options.MachineLimits),
                Labels = new Dictionary<string, string>
                {
                    [RequestLabel] = JsonSerializer.Serialize(request, Json),
                    [EnvironmentLabel] = JsonSerializer.Serialize(environment, Json),
                },
            };
            var setup = template is null ? new MachineSetup() : TemplateUse.Setup(template, environment);
            if (template is not null)
                spec = TemplateUse.Apply(spec, template, environment);
            var main = image.ToMain(request.Command);
            if (main is not null)
                spec = spec with { Labels = new Dictionary<string, string>(spec.Labels) { [MainLabel] = JsonSerializer.Serialize(main with { Environment = new Dictionary<string, string>() }, Json) } };
            var machine = await WithFaultsAsync(() => host.StartAsync(spec, main is null ? null : main with { Environment = environment }, setup with { OnConsole = onConsole }, cancellationToken));
            logs.Follow(machine);
            Log.Spawned(logger, machine.Id, request.Name, team);
            return machine;
        }
        finally
        {
            Release(team);
        }
    }

    /// <summary>Saves a machine into a new folder and lets it go on.</summary>
    /// <exception cref="MachineFaultException">There is none, or it cannot be saved now.</exception>
    public async Task SnapshotAsync(Guid team, string id, string folder, string? parent, CancellationToken cancellationToken)
    {
        var machine = Get(team, id);
        await WithFaultsAsync(machine, () => machine.SnapshotAsync(folder, parent, cancellationToken));
    }

    /// <summary>
    /// Starts a machine from a snapshot of a machine by itself, or with its disk when its memory is damaged. Ports of the host stay with the
    /// machine that has them.
    /// </summary>
    /// <exception cref="MachineFaultException">It could not be started.</exception>
    public async Task<Machine> RestoreAsync(Guid team, string folder, string? name, CancellationToken cancellationToken)
    {
        Reserve(team);
        try
        {
            var machine = await WithFaultsAsync(() => host.RestoreAsync(
                folder,
                spec => spec with
                {
                    Name = name ?? spec.Name,
                    Group = GroupOf(team),
                    GroupName = name ?? spec.Name,
                    Ports = [],
                    // The operator may allow less than when it was saved.
                    Rate = SpecLimits.RateOf(SpecLimits.Of(spec), options.MachineLimits),
                    Io = SpecLimits.IoOf(SpecLimits.Of(spec), options.MachineLimits),
                    Labels = new Dictionary<string, string>(spec.Labels)
                    {
                        [RequestLabel] = JsonSerializer.Serialize(JsonSerializer.Deserialize<MachineRequest>(spec.Labels[RequestLabel], Json)! with { Name = name ?? spec.Name, Ports = new Dictionary<int, int>() }, Json),
                    },
                },
                MainOf(MachineSnapshot.Read(folder).Spec),
                cancellationToken));
            logs.Follow(machine);
            Log.Spawned(logger, machine.Id, machine.Spec.Name, team);
            return machine;
        }
        finally
        {
            Release(team);
        }
    }

    /// <summary>SIGTERM to the main process; at its end, or after the grace, the machine is removed with all that belongs to it.</summary>
    /// <exception cref="MachineFaultException">There is none, or it could not be removed.</exception>
    public async Task<Machine> StopAsync(Guid team, string id, TimeSpan grace, CancellationToken cancellationToken)
    {
        var machine = Get(team, id);
        // Whoever asked may leave; the machine is stopped all the same.
        await RemoveAsync(machine, grace).WaitAsync(cancellationToken);
        Log.Stopped(logger, id, machine.Spec.Name, team);
        return machine;
    }

    /// <exception cref="MachineFaultException">There is none, or it cannot be paused now.</exception>
    public async Task<Machine> PauseAsync(Guid team, string id, CancellationToken cancellationToken)
    {
        var machine = Get(team, id);
        if (machine.State != MachineState.Paused)
            await WithFaultsAsync(machine, () => machine.PauseAsync(cancellationToken));
        return machine;
    }

    /// <exception cref="MachineFaultException">There is none, or it cannot be resumed now.</exception>
    public async Task<Machine> ResumeAsync(Guid team, string id, CancellationToken cancellationToken)
    {
        var machine = Get(team, id);
        if (machine.State != MachineState.Running)
            await WithFaultsAsync(machine, () => machine.ResumeAsync(cancellationToken));
        return machine;
    }

    /// <summary>Puts it to sleep: saved, without memory and processor, until it is woken.</summary>
    /// <exception cref="MachineFaultException">There is none, or it cannot be suspended now.</exception>
    public async Task<Machine> SuspendAsync(Guid team, string id, CancellationToken cancellationToken)
    {
        var machine = Get(team, id);
        if (machine.State != MachineState.Snapshotted)
            await WithFaultsAsync(machine, () => machine.SuspendAsync(cancellationToken));
        return machine;
    }

    /// <summary>Wakes it; boots it with its disk when what was saved of its memory is damaged.</summary>
    /// <exception cref="MachineFaultException">There is none, or it did not wake.</exception>
    public async Task<Machine> WakeAsync(Guid team, string id, CancellationToken cancellationToken)
    {
        var machine = Get(team, id);
        await WithFaultsAsync(machine, () => machine.WakeAsync(MainOf(machine.Spec), cancellationToken));
        return machine;
    }

    /// <exception cref="MachineFaultException">There is none, or it does not answer now.</exception>
    public async Task<MachineStats> ReadStatsAsync(Guid team, string id, CancellationToken cancellationToken)
    {
        var machine = Get(team, id);
        MachineStats? stats = null;
        await WithFaultsAsync(machine, async () => stats = await machine.GetStatsAsync(cancellationToken));
        return stats!;
    }

    /// <summary>Takes what the machine keeps in its shared folder back to its template.</summary>
    /// <exception cref="MachineFaultException">There is none, it shares nothing, or it does not answer now.</exception>
    public async Task SyncAsync(Guid team, string id, CancellationToken cancellationToken)
    {
        var machine = Get(team, id);
        if (machine.Spec.SharedFolders.Count == 0)
            throw new MachineFaultException(MachineFault.Invalid, $"Machine {id} has no shared folder: it came from no template with data/.");
        await WithFaultsAsync(machine, () => machine.SyncAsync(cancellationToken));
    }

    /// <summary>Starts a process beside the main one, with the machine's environment beneath its own.</summary>
    /// <exception cref="MachineFaultException">There is none, or it does not answer now.</exception>
    public async Task<GuestProcess> ExecAsync(Guid team, string id, ProcessSpec process, CancellationToken cancellationToken)
    {
        var machine = Get(team, id);
        var environment = EnvironmentOf(machine.Spec);
        foreach (var (name, value) in process.Environment)
            environment[name] = value;
        GuestProcess? started = null;
        await WithFaultsAsync(machine, async () => started = await machine.ExecAsync(process with { Environment = environment }, cancellationToken));
        return started!;
    }

    /// <summary>What a failure of a machine means to whoever asked.</summary>
    public static MachineFaultException Explain(Machine machine, MachineException failure) => new(
        machine.State is not (MachineState.Running or MachineState.Created) ? MachineFault.WrongState
        : failure.IsTransient ? MachineFault.Unavailable : MachineFault.Failed,
        failure.Message,
        failure);

    private static Dictionary<string, string> EnvironmentOf(MachineSpec spec) =>
        JsonSerializer.Deserialize<Dictionary<string, string>>(spec.Labels[EnvironmentLabel], Json)!;

    /// <summary>What a machine by itself runs, should it have to boot again; null for one that was not told.</summary>
    private static ProcessSpec? MainOf(MachineSpec spec) => spec.Labels.GetValueOrDefault(MainLabel) is { } text
        ? JsonSerializer.Deserialize<ProcessSpec>(text, Json)! with { Environment = EnvironmentOf(spec) }
        : null;

    private async Task RemoveAsync(Machine machine, TimeSpan grace)
    {
        await WithFaultsAsync(machine, () => machine.StopAsync(grace, CancellationToken.None));
        await logs.RemoveAsync(machine.Id);
    }

    private async Task<MachineImage> PrepareAsync(Guid team, MachineRequest request, ImageLease use, CancellationToken cancellationToken)
    {
        MachineRequestRules.Check(request, options.MachineLimits);
        var networks = host.Networks.Where(network => network.Owner == OwnerOf(team)).Select(network => network.Name).Append(HacFile.DefaultInterface).ToHashSet();
        if (request.Interfaces.FirstOrDefault(name => !networks.Contains(name)) is { } missing)
            throw new MachineFaultException(MachineFault.Unsupported, $"There is no network '{missing}' in your team; make it with: byteport network create {missing}");
        if (request.Driver != "auto")
        {
            var drivers = await host.GetDriversAsync(cancellationToken);
            if (drivers.FirstOrDefault(driver => driver.Name == request.Driver) is not { } driver)
                throw new MachineFaultException(MachineFault.Invalid, $"There is no driver '{request.Driver}'; choose auto or one of {string.Join(", ", drivers.Select(d => d.Name))}.");
            if (!driver.Usable)
                throw new MachineFaultException(MachineFault.Unsupported, $"The driver '{request.Driver}' cannot be used here: {driver.Reason}");
        }

        if (request.Os is { } os)
            return await MachineImage.GetAsync(systems, os, use, cancellationToken);
        return await MachineImage.GetAsync(images, ImageReference.Parse(request.Ref)!, OwnerOf(team), use, cancellationToken);
    }

    private void Reserve(Guid team)
    {
        lock (_gate)
        {
            var starting = _starting.GetValueOrDefault(team);
            if (List(team).Count + starting >= MaxPerTeam)
                throw new MachineFaultException(MachineFault.Exhausted, $"Your team has {MaxPerTeam} machines, the most it may have. Stop one of them.");
            _starting[team] = starting + 1;
        }
    }

    private void Release(Guid team)
    {
        lock (_gate)
        {
            if (--_starting[team] == 0)
                _ = _starting.Remove(team);
        }
    }

    private static async Task<Machine> WithFaultsAsync(Func<Task<Machine>> start)
    {
        try
        {
            return await start();
        }
        catch (MachineException e)
        {
            throw new MachineFaultException(e.IsTransient ? MachineFault.Unavailable : MachineFault.Failed, e.Message, e);
        }
        catch (SnapshotException e)
        {
            throw new MachineFaultException(MachineFault.Failed, e.Message, e);
        }
    }

    private static async Task WithFaultsAsync(Machine machine, Func<Task> action)
    {
        try
        {
            await action();
        }
        catch (MachineException e)
        {
            throw Explain(machine, e);
        }
    }

    /// <summary>Published ports answer where the platform does: a platform for this computer alone opens nothing to others.</summary>
    private string? HostAddress() => IPAddress.TryParse(options.ListenHost.Trim('[', ']'), out var address)
        ? address.AddressFamily != AddressFamily.InterNetwork || address.Equals(IPAddress.Any) ? null : address.ToString()
        : IPAddress.Loopback.ToString();

    /// <summary>The team's machines by themselves reach each other; those of its projects are none of theirs.</summary>
    private static string GroupOf(Guid team) => $"team:{team:N}";

    /// <summary>A team as machines and images name it.</summary>
    public static string OwnerOf(Guid team) => team.ToString("N");
}
