using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Drivers.Rest;
using NanoVms.Drivers.Vmm;
using NanoVms.Drivers.Vsock;
using NanoVms.Machines;

namespace NanoVms.Drivers.CloudHypervisor;

/// <summary>One running Cloud Hypervisor as seen from here.</summary>
/// <remarks>
/// A guest that resets, as its kernel does after a panic, is started again by Cloud Hypervisor and cannot be kept from it. Its event pipe
/// tells, and it is read whenever the way to the agent was lost, which a reset breaks: the machine counts as ended then.
/// </remarks>
internal sealed class CloudHypervisorProcess : IHypervisor
{
    private const int SqueezePatience = 4;
    private static readonly TimeSpan SqueezeStep = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan QuitLimit = TimeSpan.FromSeconds(2);
    private readonly string _machineFolder;
    private readonly string _socket;
    private readonly CloudHypervisorPlan? _plan;
    private readonly TimeProvider _time;
    private readonly CloudHypervisorClient _client;
    private readonly VmmWatch _watch;
    private readonly ConsoleText _console = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly SafeFileHandle? _events;
    private string _eventsEnd = "";
    private Task _reading = Task.CompletedTask;

    /// <param name="socket">Name of the interface's socket.</param>
    /// <param name="plan">What it is to become; null for one that runs already.</param>
    public CloudHypervisorProcess(string machineFolder, ProcessIdentity identity, string socket, CloudHypervisorPlan? plan, TimeProvider time)
    {
        var folder = RunFolder.In(machineFolder);
        _machineFolder = machineFolder;
        _socket = socket;
        _plan = plan;
        _time = time;
        Identity = identity;
        _client = new CloudHypervisorClient(folder, socket, time);
        _watch = new VmmWatch(folder, socket, identity, time);
        _events = Fifo.TryOpen(Path.Combine(machineFolder, CloudHypervisorPlan.Events));
    }

    public ProcessIdentity Identity { get; }

    public Task<string> Ended => _watch.Ended;

    public async Task<MachineState> ConnectAsync(CancellationToken cancellationToken)
    {
        _ = await VmmStart.AskAsync(RunFolder.In(_machineFolder), _socket, Identity, _client.PingAsync, _time, cancellationToken);
        _watch.Start();
        if (_plan is { IsRestored: true })
            return MachineState.Paused;
        if (_plan is not null)
        {
            await _client.CreateAsync(_plan.Config, cancellationToken);
            await _client.BootAsync(cancellationToken);
            Follow();
            return MachineState.Running;
        }

        Follow();
        CheckEvents();
        return (await _client.FindInfoAsync(cancellationToken))?.State switch
        {
            VmState.Running => MachineState.Running,
            VmState.Paused => MachineState.Paused,
            { } other => throw new HypervisorException($"Cloud Hypervisor runs, but its machine is {other}."),
            null => throw new HypervisorException("Cloud Hypervisor runs, but its machine was never started."),
        };
    }

    public void GiveUp(string reason) => _watch.GiveUp(reason);

    public Task<Stream> ConnectAgentAsync(CancellationToken cancellationToken)
    {
        CheckEvents();
        return VsockChannel.ConnectAsync(
            RunFolder.In(_machineFolder), CloudHypervisorPlan.VsockSocket, VsockChannel.AgentPort, _time, cancellationToken);
    }

    public Task PauseAsync(CancellationToken cancellationToken) => _client.PauseAsync(cancellationToken);

    public Task ResumeAsync(CancellationToken cancellationToken) => _client.ResumeAsync(cancellationToken);

    public async Task SaveAsync(string folder, string? parent, CancellationToken cancellationToken)
    {
        SavedFiles.Prepare(_machineFolder, Identity);
        await _client.SnapshotAsync(CloudHypervisorPlan.UrlOf(SavedFiles.WriteFolder), cancellationToken);
        await CloudHypervisorPlan.Files.TakeAsync(_machineFolder, folder, cancellationToken);
    }

    public async Task LoadAsync(string folder, CancellationToken cancellationToken)
    {
        await _client.RestoreAsync(new RestoreConfig(CloudHypervisorPlan.UrlOf(CloudHypervisorPlan.LoadFolder)), cancellationToken);
        Follow();
    }

    public async Task SqueezeAsync(long all, long least, CancellationToken cancellationToken)
    {
        await _client.ResizeBalloonAsync(all - least, cancellationToken);
        try
        {
            // Given up when nothing has moved for a while: the guest needs what it has.
            var (before, still) = (all, 0);
            while (still < SqueezePatience)
            {
                await Task.Delay(SqueezeStep, _time, cancellationToken);
                var now = (await _client.FindInfoAsync(cancellationToken))?.MemoryActualSize ?? all;
                if (now <= least)
                    return;
                still = now < before ? 0 : still + 1;
                before = now;
            }
        }
        finally
        {
            await _client.ResizeBalloonAsync(0, CancellationToken.None);
        }
    }

    public Task<byte[]> ReadConsoleAsync(CancellationToken cancellationToken) => Task.FromResult(_console.Take());

    public async Task TerminateAsync()
    {
        try
        {
            await _client.QuitAsync(CancellationToken.None, QuitLimit);
            using var limit = new CancellationTokenSource(QuitLimit, _time);
            _ = await Identity.WaitAsync(_time, limit.Token);
            return;
        }
        catch (Exception e) when (e is RestException or OperationCanceledException)
        {
            // It is gone, or hangs: by force then.
        }

        await Identity.KillAsync(_time, CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading;
        await _watch.DisposeAsync();
        _client.Dispose();
        lock (_gate)
            _events?.Dispose();
    }

    private void Follow()
    {
        _ = LentTap.TryTie(Identity);
        _reading = FollowConsoleAsync(_stop.Token);
    }

    /// <summary>Without anybody there Cloud Hypervisor drops what the guest writes.</summary>
    private async Task FollowConsoleAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var stream = await UnixSockets.ConnectAsync(RunFolder.In(_machineFolder), CloudHypervisorPlan.ConsoleSocket, cancellationToken);
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
                    _watch.GiveUp("The guest reset itself, as its kernel does after a panic.");
                _eventsEnd = text.Length > 64 ? text[^64..] : text;
            }
        }
    }
}
