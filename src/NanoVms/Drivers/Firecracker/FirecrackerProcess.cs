using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Drivers.Vmm;
using NanoVms.Drivers.Vsock;
using NanoVms.Machines;

namespace NanoVms.Drivers.Firecracker;

/// <summary>One running Firecracker as seen from here.</summary>
/// <remarks>
/// Its console comes through a pipe that is emptied every second while a host is there. A guest that ends or panics ends the process.
/// </remarks>
internal sealed class FirecrackerProcess : IHypervisor
{
    private const int SqueezePatience = 8;
    private static readonly TimeSpan SqueezeStep = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan ConsoleStep = TimeSpan.FromSeconds(1);
    private readonly string _machineFolder;
    private readonly FirecrackerPlan? _plan;
    private readonly TimeProvider _time;
    private readonly FirecrackerClient _client;
    private readonly VmmWatch _watch;
    private readonly ConsoleText _console = new();
    private readonly Lock _gate = new();
    private readonly SafeFileHandle? _pipe;
    private readonly ITimer _emptying;

    /// <param name="plan">What it is to become; null for one that runs already.</param>
    public FirecrackerProcess(string machineFolder, ProcessIdentity identity, FirecrackerPlan? plan, TimeProvider time)
    {
        var folder = RunFolder.In(machineFolder);
        _machineFolder = machineFolder;
        _plan = plan;
        _time = time;
        Identity = identity;
        _client = new FirecrackerClient(folder, FirecrackerArguments.ApiSocket, time);
        _watch = new VmmWatch(folder, FirecrackerArguments.ApiSocket, identity, time);
        _pipe = Fifo.TryOpen(Path.Combine(machineFolder, FirecrackerPlan.Console));
        _emptying = time.CreateTimer(_ => EmptyPipe(), null, ConsoleStep, ConsoleStep);
    }

    public ProcessIdentity Identity { get; }

    public Task<string> Ended => _watch.Ended;

    public async Task<MachineState> ConnectAsync(CancellationToken cancellationToken)
    {
        var instance = await VmmStart.AskAsync(
            RunFolder.In(_machineFolder), FirecrackerArguments.ApiSocket, Identity, _client.GetInstanceAsync, _time, cancellationToken);
        _watch.Start();
        if (_plan is { IsRestored: true })
            return MachineState.Paused;
        if (instance.State == InstanceState.NotStarted && _plan is not null)
        {
            await _plan.BootAsync(_client, cancellationToken);
            _ = LentTap.TryTie(Identity);
            return MachineState.Running;
        }

        return instance.State switch
        {
            InstanceState.Running => MachineState.Running,
            InstanceState.Paused => MachineState.Paused,
            _ => throw new HypervisorException("Firecracker runs, but its machine was never started."),
        };
    }

    public void GiveUp(string reason) => _watch.GiveUp(reason);

    public Task<Stream> ConnectAgentAsync(CancellationToken cancellationToken) => VsockChannel.ConnectAsync(
        RunFolder.In(_machineFolder), FirecrackerPlan.VsockSocket, VsockChannel.AgentPort, _time, cancellationToken);

    public Task PauseAsync(CancellationToken cancellationToken) => _client.SetStateAsync(VmStateChange.Paused, cancellationToken);

    public Task ResumeAsync(CancellationToken cancellationToken) => _client.SetStateAsync(VmStateChange.Resumed, cancellationToken);

    public async Task SaveAsync(string folder, string? parent, CancellationToken cancellationToken)
    {
        const string Target = SavedFiles.WriteFolder;
        SavedFiles.Prepare(_machineFolder, Identity);
        await _client.CreateSnapshotAsync(
            new SnapshotCreation($"{Target}/{FirecrackerSnapshot.State}", $"{Target}/{FirecrackerSnapshot.Memory}", SnapshotType.Full), cancellationToken);
        await FirecrackerSnapshot.Files.TakeAsync(_machineFolder, folder, cancellationToken);
    }

    public async Task LoadAsync(string folder, CancellationToken cancellationToken)
    {
        await _client.LoadSnapshotAsync(
            new SnapshotLoad(FirecrackerSnapshot.State, new MemoryBackend(MemoryBackendType.File, FirecrackerSnapshot.Memory))
            {
                NetworkOverrides = _plan?.Network is { } card ? [new NetworkOverride(card.IfaceId, card.HostDevName)] : null,
            },
            cancellationToken);
        _ = LentTap.TryTie(Identity);
    }

    public async Task SqueezeAsync(long all, long least, CancellationToken cancellationToken)
    {
        var target = (int)((all - least) >> 20);
        await _client.PatchBalloonAsync(new BalloonUpdate(target), cancellationToken);
        try
        {
            // Given up when nothing has moved for a while: the guest needs what it has. It reports once a second.
            var (before, still) = (0, 0);
            while (still < SqueezePatience)
            {
                await Task.Delay(SqueezeStep, _time, cancellationToken);
                var now = (await _client.GetBalloonStatisticsAsync(cancellationToken)).ActualMib;
                if (now >= target)
                    return;
                still = now > before ? 0 : still + 1;
                before = now;
            }
        }
        finally
        {
            await _client.PatchBalloonAsync(new BalloonUpdate(0), CancellationToken.None);
        }
    }

    public Task<byte[]> ReadConsoleAsync(CancellationToken cancellationToken)
    {
        EmptyPipe();
        return Task.FromResult(_console.Take());
    }

    public Task TerminateAsync() => Identity.KillAsync(_time, CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        await _emptying.DisposeAsync();
        await _watch.DisposeAsync();
        _client.Dispose();
        lock (_gate)
            _pipe?.Dispose();
    }

    private void EmptyPipe()
    {
        var buffer = new byte[16 * 1024];
        lock (_gate)
        {
            // At most what the pipe holds, so that a guest that writes without end keeps nobody here.
            for (var i = 0; i < 4 && _pipe is { IsClosed: false } && Fifo.Read(_pipe, buffer) is > 0 and var read; i++)
                _console.Append(buffer.AsSpan(0, read));
        }
    }
}
