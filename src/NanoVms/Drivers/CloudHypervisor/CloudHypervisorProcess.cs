using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Drivers.Rest;
using NanoVms.Drivers.Vmm;
using NanoVms.Machines;

namespace NanoVms.Drivers.CloudHypervisor;

/// <summary>One running Cloud Hypervisor as seen from here.</summary>
/// <remarks>
/// A guest that resets, as its kernel does after a panic, is started again by Cloud Hypervisor and cannot be kept from it. Its event pipe
/// tells, and it is read whenever the way to the agent was lost, which a reset breaks: the machine counts as ended then.
/// </remarks>
internal sealed class CloudHypervisorProcess : VmmProcess
{
    private const int SqueezePatience = 4;
    private static readonly TimeSpan QuitLimit = TimeSpan.FromSeconds(2);
    private readonly CloudHypervisorPlan? _plan;
    private readonly CloudHypervisorClient _client;
    private readonly ConsoleText _console = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly SafeFileHandle? _events;
    private string _eventsEnd = "";
    private Task _reading = Task.CompletedTask;

    /// <param name="socket">Name of the interface's socket.</param>
    /// <param name="plan">What it is to become; null for one that runs already.</param>
    public CloudHypervisorProcess(string machineFolder, ProcessIdentity identity, string socket, CloudHypervisorPlan? plan, TimeProvider time)
        : base(machineFolder, Vmm.RunFolder.In(machineFolder), socket, identity, SqueezePatience, time)
    {
        _plan = plan;
        _client = new CloudHypervisorClient(RunFolder, socket, time);
        _events = Fifo.TryOpen(Path.Combine(machineFolder, CloudHypervisorPlan.Events));
    }

    protected override SavedFiles Files => CloudHypervisorPlan.Files;

    public override async Task<MachineState> ConnectAsync(CancellationToken cancellationToken)
    {
        _ = await AskFirstAsync(_client.PingAsync, cancellationToken);
        Watch.Start();
        if (_plan is { IsRestored: true })
            return MachineState.Paused;
        if (_plan is not null)
        {
            await _client.CreateAsync(_plan.Config, cancellationToken);
            for (var i = 0; i < _plan.Cards.Count; i++)
                await _client.AddNetAsync(_plan.Cards[i], _plan.Taps[i], cancellationToken);
            await _client.BootAsync(cancellationToken);
            await FollowAsync();
            return MachineState.Running;
        }

        await FollowAsync();
        CheckEvents();
        return (await _client.FindInfoAsync(cancellationToken))?.State switch
        {
            VmState.Running => MachineState.Running,
            VmState.Paused => MachineState.Paused,
            { } other => throw new HypervisorException($"Cloud Hypervisor runs, but its machine is {other}."),
            null => throw new HypervisorException("Cloud Hypervisor runs, but its machine was never started."),
        };
    }

    public override Task<Stream> ConnectAgentAsync(CancellationToken cancellationToken)
    {
        CheckEvents();
        return base.ConnectAgentAsync(cancellationToken);
    }

    public override Task PauseAsync(CancellationToken cancellationToken) => _client.PauseAsync(cancellationToken);

    public override Task ResumeAsync(CancellationToken cancellationToken) => _client.ResumeAsync(cancellationToken);

    public override async Task LoadAsync(string folder, CancellationToken cancellationToken)
    {
        var cards = _plan?.Cards ?? [];
        await _client.RestoreAsync(
            new RestoreConfig(CloudHypervisorPlan.UrlOf(RunFolder, CloudHypervisorPlan.LoadFolder)) { NetFds = cards.Count == 0 ? null : [.. cards.Select(card => new RestoredNet(card.Id, 1))] },
            _plan?.Taps ?? [],
            cancellationToken);
        await FollowAsync();
    }

    public override Task<byte[]> ReadConsoleAsync(CancellationToken cancellationToken) => Task.FromResult(_console.Take());

    public override async Task TerminateAsync()
    {
        try
        {
            await _client.QuitAsync(CancellationToken.None, QuitLimit);
            using var limit = new CancellationTokenSource(QuitLimit, Time);
            _ = await Identity.WaitAsync(Time, limit.Token);
            return;
        }
        catch (Exception e) when (e is RestException or OperationCanceledException)
        {
            // It is gone, or hangs: by force then.
        }

        await Identity.KillAsync(Time, CancellationToken.None);
    }

    public override async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading;
        await Watch.DisposeAsync();
        _client.Dispose();
        _plan?.Dispose();
        lock (_gate)
            _events?.Dispose();
    }

    protected override Task WriteSnapshotAsync(CancellationToken cancellationToken) =>
        _client.SnapshotAsync(CloudHypervisorPlan.UrlOf(RunFolder, SavedFiles.WriteFolder), cancellationToken);

    protected override Task SetBalloonAsync(long bytes, CancellationToken cancellationToken) => _client.ResizeBalloonAsync(bytes, cancellationToken);

    protected override async Task<long> GetBalloonAsync(CancellationToken cancellationToken) => await _client.FindInfoAsync(cancellationToken) is
    { MemoryActualSize: { } left, Config.Memory.Size: var all } ? all - left : 0;

    private async Task FollowAsync()
    {
        // A tap ends with whoever holds it last, which is the hypervisor from here on.
        _plan?.Dispose();
        await StripAsync();
        _reading = FollowConsoleAsync(_stop.Token);
    }

    /// <summary>Without anybody there Cloud Hypervisor drops what the guest writes.</summary>
    private async Task FollowConsoleAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var stream = await UnixSockets.ConnectAsync(RunFolder, CloudHypervisorPlan.ConsoleSocket, cancellationToken);
            var buffer = new byte[16 * 1024];
            int read;
            while ((read = await stream.ReadAsync(buffer, cancellationToken)) > 0)
                _console.Append(buffer.AsSpan(0, read));
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // The console is a help in finding errors, and nothing rests on it.
        }
    }

    private void CheckEvents()
    {
        var buffer = new byte[16 * 1024];
        lock (_gate)
        {
            // At most what the pipe holds. An event may be cut at the end of a read, so its beginning is kept for the next.
            for (var i = 0; i < 4 && _events is { IsClosed: false } && Fifo.Read(_events, buffer) is > 0 and var read; i++)
            {
                var text = _eventsEnd + System.Text.Encoding.UTF8.GetString(buffer, 0, read);
                if (text.Contains("\"rebooting\"", StringComparison.Ordinal) || text.Contains("\"rebooted\"", StringComparison.Ordinal))
                    Watch.GiveUp("The guest reset itself, as its kernel does after a panic.");
                _eventsEnd = text.Length > 64 ? text[^64..] : text;
            }
        }
    }
}
