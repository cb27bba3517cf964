using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Drivers.Vmm;
using NanoVms.Machines;

namespace NanoVms.Drivers.Firecracker;

/// <summary>One running Firecracker as seen from here.</summary>
/// <remarks>
/// Its console comes through a pipe that is emptied every second while a host is there. A guest that ends or panics ends the process.
/// </remarks>
internal sealed class FirecrackerProcess : VmmProcess
{
    /// <summary>It reports once a second.</summary>
    private const int SqueezePatience = 8;
    private static readonly TimeSpan ConsoleStep = TimeSpan.FromSeconds(1);
    private readonly FirecrackerPlan? _plan;
    private readonly FirecrackerClient _client;
    private readonly ConsoleText _console = new();
    private readonly Lock _gate = new();
    private readonly SafeFileHandle? _pipe;
    private readonly ITimer _emptying;

    /// <param name="plan">What it is to become; null for one that runs already.</param>
    public FirecrackerProcess(string machineFolder, string runFolder, ProcessIdentity identity, FirecrackerPlan? plan, TimeProvider time)
        : base(machineFolder, runFolder, FirecrackerArguments.ApiSocket, identity, SqueezePatience, time)
    {
        _plan = plan;
        _client = new FirecrackerClient(runFolder, FirecrackerArguments.ApiSocket, time);
        _pipe = Fifo.TryOpen(Path.Combine(machineFolder, FirecrackerPlan.Console));
        _emptying = time.CreateTimer(_ => EmptyPipe(), null, ConsoleStep, ConsoleStep);
    }

    protected override SavedFiles Files => FirecrackerSnapshot.Files;

    public override async Task<MachineState> ConnectAsync(CancellationToken cancellationToken)
    {
        var instance = await AskFirstAsync(_client.GetInstanceAsync, cancellationToken);
        Watch.Start();
        if (_plan is { IsRestored: true })
            return MachineState.Paused;
        if (instance.State == InstanceState.NotStarted && _plan is not null)
        {
            await _plan.DescribeAsync(_client, cancellationToken);
            await TakeTapsBackAsync(cancellationToken);
            await _client.ActAsync(ActionType.InstanceStart, cancellationToken);
            await StripAsync();
            return MachineState.Running;
        }

        var state = instance.State switch
        {
            InstanceState.Running => MachineState.Running,
            InstanceState.Paused => MachineState.Paused,
            _ => throw new HypervisorException("Firecracker runs, but its machine was never started."),
        };
        await StripAsync();
        return state;
    }

    public override Task PauseAsync(CancellationToken cancellationToken) => _client.SetStateAsync(VmStateChange.Paused, cancellationToken);

    public override Task ResumeAsync(CancellationToken cancellationToken) => _client.SetStateAsync(VmStateChange.Resumed, cancellationToken);

    public override async Task LoadAsync(string folder, CancellationToken cancellationToken)
    {
        await _client.LoadSnapshotAsync(
            new SnapshotLoad(FirecrackerSnapshot.State, new MemoryBackend(MemoryBackendType.File, FirecrackerSnapshot.Memory))
            {
                NetworkOverrides = _plan is { Networks.Count: > 0 } ? [.. _plan.Networks.Select(card => new NetworkOverride(card.IfaceId, card.HostDevName))] : null,
            },
            cancellationToken);
        await TakeTapsBackAsync(cancellationToken);
        await StripAsync();
    }

    public override Task<byte[]> ReadConsoleAsync(CancellationToken cancellationToken)
    {
        EmptyPipe();
        return Task.FromResult(_console.Take());
    }

    public override Task TerminateAsync() => Identity.KillAsync(Time, CancellationToken.None);

    public override async ValueTask DisposeAsync()
    {
        await _emptying.DisposeAsync();
        await Watch.DisposeAsync();
        _client.Dispose();
        lock (_gate)
            _pipe?.Dispose();
    }

    protected override Task WriteSnapshotAsync(CancellationToken cancellationToken) => _client.CreateSnapshotAsync(
        new SnapshotCreation($"{SavedFiles.WriteFolder}/{FirecrackerSnapshot.State}", $"{SavedFiles.WriteFolder}/{FirecrackerSnapshot.Memory}", SnapshotType.Full), cancellationToken);

    protected override Task SetBalloonAsync(long bytes, CancellationToken cancellationToken) =>
        _client.PatchBalloonAsync(new BalloonUpdate((int)(bytes >> 20)), cancellationToken);

    protected override async Task<long> GetBalloonAsync(CancellationToken cancellationToken) =>
        (long)(await _client.GetBalloonStatisticsAsync(cancellationToken)).ActualMib << 20;

    private Task TakeTapsBackAsync(CancellationToken cancellationToken) => _plan?.Taps?.TakeBackAsync(Identity, cancellationToken) ?? Task.CompletedTask;

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
