using NanoVms.Commands;
using NanoVms.Drivers.Isolation;
using NanoVms.Machines;

namespace NanoVms.Drivers.Qemu;

/// <summary>
/// One running QEMU: its process and its monitor, which is connected again when it is lost.
/// </summary>
internal sealed class QemuProcess : IHypervisor
{
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(100);
    private const int SqueezePatience = 4;
    private static readonly TimeSpan SqueezeStep = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan DyingLimit = TimeSpan.FromSeconds(2);
    private readonly string _folder;
    private readonly IJail _jail;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<string> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile QemuInstance? _monitor;
    private Task _watching = Task.CompletedTask;

    public QemuProcess(string folder, ProcessIdentity identity, IJail jail, TimeProvider time)
    {
        _folder = folder;
        _jail = jail;
        _time = time;
        Identity = identity;
    }

    public ProcessIdentity Identity { get; }

    public Task<string> Ended => _ended.Task;

    public async Task<MachineState> ConnectAsync(CancellationToken cancellationToken)
    {
        var monitor = await QemuInstance.ConnectAsync(_folder, OnEvent, _time, cancellationToken);
        try
        {
            // Asked while events arrive already, so that a halt is seen in one of the two.
            var status = await monitor.GetStatusAsync(cancellationToken);
            _monitor = monitor;
            CheckStatus(status);
            // It answers, so it has started and opens nothing by name any more.
            await StripAsync();
            _watching = WatchAsync(monitor, _stop.Token);
            return status is "paused" or "inmigrate" or "save-vm" ? MachineState.Paused : MachineState.Running;
        }
        catch
        {
            await monitor.DisposeAsync();
            throw;
        }
    }

    public void GiveUp(string reason) => _ = _ended.TrySetResult(reason);

    public async Task<Stream> ConnectAgentAsync(CancellationToken cancellationToken) =>
        await UnixSockets.ConnectAsync(_folder, QemuDriver.AgentSocket, cancellationToken);

    public Task PauseAsync(CancellationToken cancellationToken) => Monitor.PauseAsync(cancellationToken);

    public Task ResumeAsync(CancellationToken cancellationToken) => Monitor.ResumeAsync(cancellationToken);

    public async Task SaveAsync(string folder, string? parent, CancellationToken cancellationToken)
    {
        using (var devices = File.OpenHandle(Path.Combine(folder, QemuSnapshot.Devices), FileMode.CreateNew, FileAccess.Write))
        {
            await Monitor.SaveAsync(devices, cancellationToken);
            RandomAccess.FlushToDisk(devices);
        }

        using var memory = RunningMemory.Open(Identity);
        await QemuSnapshot.WriteAsync(folder, parent, memory, cancellationToken);
    }

    public async Task LoadAsync(string folder, CancellationToken cancellationToken)
    {
        using var devices = File.OpenHandle(Path.Combine(folder, QemuSnapshot.Devices));
        await Monitor.LoadAsync(devices, _time, cancellationToken);
    }

    public async Task SqueezeAsync(long all, long least, CancellationToken cancellationToken)
    {
        var monitor = Monitor;
        // What a guest gives back of a snapshot's memory goes to nobody.
        if (RunningMemory.IsOfSnapshot(Identity))
            return;
        await monitor.SetMemoryAsync(least, cancellationToken);
        try
        {
            // Given up when nothing has moved for a while: the guest needs what it has.
            var (before, still) = (all, 0);
            while (still < SqueezePatience)
            {
                await Task.Delay(SqueezeStep, _time, cancellationToken);
                var now = await monitor.GetMemoryAsync(cancellationToken);
                if (now <= least)
                    return;
                still = now < before ? 0 : still + 1;
                before = now;
            }
        }
        finally
        {
            await monitor.SetMemoryAsync(all, CancellationToken.None);
        }
    }

    public async Task<byte[]> ReadConsoleAsync(CancellationToken cancellationToken) =>
        _monitor is { } monitor ? await monitor.ReadConsoleAsync(cancellationToken) : [];

    public async Task TerminateAsync()
    {
        if (_monitor is { Closed.IsCompleted: false } monitor && await monitor.TryQuitAsync(CancellationToken.None))
        {
            using var limit = new CancellationTokenSource(DyingLimit, _time);
            try
            {
                _ = await Identity.WaitAsync(_time, limit.Token);
                return;
            }
            catch (OperationCanceledException)
            {
                // It hangs in a disk or was stopped by a debugger: by force then.
            }
        }

        await Identity.KillAsync(_time, CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_monitor is { } monitor)
            await monitor.DisposeAsync();
        await _watching;
    }

    private async Task StripAsync()
    {
        try
        {
            await _jail.StripAsync(Identity);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (Identity.IsAlive)
                throw new QmpException(e.Message, e);
        }
    }

    private QemuInstance Monitor => _monitor ?? throw new QmpException("QEMU's monitor is not connected.");

    private void OnEvent(QmpEvent happened)
    {
        switch (happened.Name)
        {
            case "SHUTDOWN" when happened.Text("reason") is { } reason && reason.StartsWith("guest-", StringComparison.Ordinal):
                _ = _ended.TrySetResult(reason switch
                {
                    "guest-shutdown" => "The guest powered itself off.",
                    "guest-reset" => "The guest reset itself, as its kernel does after a panic.",
                    "guest-panic" => "The guest's kernel panicked.",
                    _ => $"The guest ended: {reason}.",
                });
                break;
            case "STOP":
                _ = CheckStopAsync();
                break;
        }
    }

    private async Task CheckStopAsync()
    {
        try
        {
            if (_monitor is { } monitor)
                CheckStatus(await monitor.GetStatusAsync(_stop.Token));
        }
        catch (Exception e) when (e is QmpException or OperationCanceledException)
        {
            // The watch finds out what happened to the monitor.
        }
    }

    private void CheckStatus(string status)
    {
        var reason = status switch
        {
            "io-error" => "A disk of the machine could not be written or read: the computer's own disk may be full.",
            "internal-error" => "The hypervisor gave up with an internal error.",
            "guest-panicked" => "The guest's kernel panicked.",
            "shutdown" => "The guest powered itself off or its kernel panicked.",
            _ => null,
        };
        if (reason is not null)
            _ = _ended.TrySetResult(reason);
    }

    private async Task WatchAsync(QemuInstance monitor, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await monitor.Closed.WaitAsync(cancellationToken);
                if (await DiedAsync(cancellationToken) is { } reason)
                {
                    _ = _ended.TrySetResult(reason);
                    return;
                }

                monitor = await ReconnectAsync(monitor, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Let go.
        }
    }

    /// <summary>Null when the process lives on.</summary>
    private async Task<string?> DiedAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var timer = _time.CreateTimer(_ => limit.Cancel(), null, DyingLimit, Timeout.InfiniteTimeSpan);
        try
        {
            return await Identity.WaitAsync(_time, limit.Token) is { } status
                ? $"The hypervisor {ProcessIdentity.Describe(status)}."
                : "The hypervisor's process is gone.";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    private async Task<QemuInstance> ReconnectAsync(QemuInstance old, CancellationToken cancellationToken)
    {
        await old.DisposeAsync();
        while (true)
        {
            try
            {
                var monitor = await QemuInstance.ConnectAsync(_folder, OnEvent, _time, cancellationToken);
                _monitor = monitor;
                CheckStatus(await monitor.GetStatusAsync(cancellationToken));
                return monitor;
            }
            catch (QmpException)
            {
                if (!Identity.IsAlive)
                    return old;
                await Task.Delay(Retry, _time, cancellationToken);
            }
        }
    }
}
