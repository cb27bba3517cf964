using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using NanoVms.Agent;
using NanoVms.Drivers;

namespace NanoVms.Machines;

/// <summary>
/// A running machine's state and its changes. <see cref="MachineParts"/> is what lies outside, <see cref="IHypervisor"/> the hypervisor,
/// <see cref="AgentLink"/> the guest.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "Its tokens are asked for after its end too, and none of them holds more than memory.")]
internal sealed class MachineLife
{
    private const int SeedBytes = 64;

    private static readonly TimeSpan PowerOffLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan OutputLimit = TimeSpan.FromSeconds(1);
    private readonly MachineContext _context;
    private readonly MachineParts _parts;
    private readonly IHypervisor? _hypervisor;
    private readonly AgentLink? _agent;
    private readonly Action _forget;
    private readonly MachineConsole _console;
    private readonly MachineSharing _sharing;
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _changing = new(1);
    private readonly CancellationTokenSource _gone = new();
    private readonly CancellationTokenSource _detached = new();
    private readonly CancellationTokenSource _graceOver;
    private readonly TaskCompletionSource<ProcessExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile MachineState _state = MachineState.Created;
    private DateTimeOffset _graceEnd = DateTimeOffset.MaxValue;
    private Task? _stopping;
    private Task _following = Task.CompletedTask;
    private int _readers;

    /// <param name="hypervisor">Null, with <paramref name="agent"/>, for a machine that has ended.</param>
    /// <param name="forget">Called once when the machine is removed.</param>
    public MachineLife(MachineContext context, MachineParts parts, IHypervisor? hypervisor, AgentLink? agent, Action forget)
    {
        _context = context;
        _parts = parts;
        _hypervisor = hypervisor;
        _agent = agent;
        _forget = forget;
        _console = new MachineConsole(parts.Folder, hypervisor);
        _sharing = new MachineSharing(context, this);
        _graceOver = new CancellationTokenSource(Timeout.InfiniteTimeSpan, context.Time);
        Names = new MachineNames(context, this);
    }

    public MachineRecord Record => _parts.Record;

    public IReadOnlyList<MachineCard> Cards => _parts.Cards;

    public MachineState State => _state;

    public Task<ProcessExit> Exited => _exited.Task;

    public MachineNames Names { get; }

    /// <summary>Whether its group should resolve its name.</summary>
    public bool IsAnnounced => Record.Announced ?? Record.Spec.Announced;

    public void SetAnnounced(bool announced)
    {
        if (IsAnnounced == announced)
            return;
        _parts.Update(r => r with { Announced = announced });
        _context.Names.Wake(this);
    }

    /// <summary>Completes when the hypervisor has ended and <see cref="Record"/> says why.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Canceled when the machine has ended, was removed, or this host let go of it.</summary>
    public CancellationToken Gone => _gone.Token;

    /// <summary>Begins to follow a machine whose hypervisor runs.</summary>
    public void Follow(MachineState state)
    {
        _state = state;
        if (Record.Exit is { } exit)
            SetExited(exit);
        _following = Task.WhenAll(FollowHypervisorAsync(), FollowMainAsync(), Names.RunAsync(), new MachineSettling(_context, Record, this, _hypervisor!).RunAsync());
        if (!_exited.Task.IsCompleted)
            _context.Names.Join(this);
    }

    /// <summary>Takes over a machine that ended while nobody watched.</summary>
    public void ShowEnded()
    {
        _state = MachineState.Failed;
        _ = _exited.TrySetResult(Record.Exit ?? new ProcessExit(null, null, Record.FailureReason ?? "The machine ended."));
        _ = _ended.TrySetResult();
        _gone.Cancel();
    }

    public Task<AgentConnection> GetAgentAsync(CancellationToken cancellationToken) =>
        _agent?.GetAsync(cancellationToken) ?? Task.FromCanceled<AgentConnection>(new CancellationToken(true));

    public MachineConsole Console => _console;

    public MachineSharing Sharing => _sharing;

    /// <summary>While it is not disposed, a removal waits a moment for the last output to be read.</summary>
    public IDisposable AddReader()
    {
        _ = Interlocked.Increment(ref _readers);
        return new Reader(this);
    }

    public Task PauseAsync(CancellationToken cancellationToken) => ChangeAsync(
        MachineState.Running,
        MachineState.Paused,
        hypervisor => hypervisor.PauseAsync(CancellationToken.None),
        cancellationToken);

    public async Task ResumeAsync(CancellationToken cancellationToken)
    {
        await ChangeAsync(MachineState.Paused, MachineState.Running, hypervisor => hypervisor.ResumeAsync(CancellationToken.None), cancellationToken);
        Names.Wake();
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _gone.Token);
            limit.CancelAfter(PowerOffLimit);
            var agent = await GetAgentAsync(limit.Token);
            await agent.SynchronizeAsync(_context.Time.GetUtcNow(), RandomNumberGenerator.GetBytes(SeedBytes), limit.Token);
        }
        catch (Exception e) when (e is AgentException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new MachineException($"Machine {Record.Id} runs again, but its agent did not set its clock: {e.Message}", e) { IsTransient = true };
        }
    }

    public async Task SnapshotAsync(string folder, string? parent, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            if (_state != MachineState.Running || _hypervisor is null)
                throw new MachineException($"Machine {Record.Id} is {_state}; only a running machine can be snapshotted.");
            await new MachineSaving(_context, _parts, this, _hypervisor).RunAsync(folder, parent, cancellationToken);
        }
        finally
        {
            _ = _changing.Release();
        }
    }

    public Task StopAsync(TimeSpan grace)
    {
        lock (_gate)
        {
            var end = grace == Timeout.InfiniteTimeSpan ? DateTimeOffset.MaxValue : _context.Time.GetUtcNow() + grace;
            if (end < _graceEnd)
            {
                _graceEnd = end;
                _graceOver.CancelAfter(grace);
            }

            _context.Names.Leave(this);

            return _stopping ??= Task.Run(StopCoreAsync);
        }
    }

    /// <summary>Lets go of the machine, which runs on.</summary>
    public async Task DetachAsync()
    {
        Task? stopping;
        lock (_gate)
            stopping = _stopping;
        // A stop that has begun is brought to its end: half a removal helps nobody.
        if (stopping is not null)
            await stopping;
        await _detached.CancelAsync();
        await _gone.CancelAsync();
        if (_agent is not null)
            await _agent.DisposeAsync();
        if (_hypervisor is not null)
            await _hypervisor.DisposeAsync();
        await _following;
    }

    private async Task ChangeAsync(MachineState from, MachineState to, Func<IHypervisor, Task> change, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            if (_state == to)
                return;
            if (_state != from || _hypervisor is null)
                throw new MachineException($"Machine {Record.Id} is {_state}; it cannot become {to}.");
            await change(_hypervisor);
            _state = to;
        }
        catch (HypervisorException e)
        {
            throw new MachineException($"Machine {Record.Id} cannot become {to}: {e.Message}", e) { IsTransient = true };
        }
        finally
        {
            _ = _changing.Release();
        }
    }

    private async Task FollowHypervisorAsync()
    {
        await ((Task)_hypervisor!.Ended).WaitAsync(_detached.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!_hypervisor.Ended.IsCompleted)
            return;
        var reason = await _hypervisor.Ended;
        var console = await _console.TailAsync();
        if (_context.CgroupOf(Record.Id).RanOutOfMemory())
            reason = $"The computer's kernel ended the hypervisor: it went over its memory limit for a guest of {Record.Spec.MemoryMiB} MiB.";
        else if (console.Split('\n').FirstOrDefault(line => line.Contains("Kernel panic", StringComparison.Ordinal)) is { } panic)
            reason = $"The guest's kernel panicked: {panic[panic.IndexOf("Kernel panic", StringComparison.Ordinal)..]}";

        await _changing.WaitAsync();
        try
        {
            // A stop ends the hypervisor too; that is no failure, and the parts are its business.
            bool stopping;
            lock (_gate)
                stopping = _stopping is not null;
            if (!stopping)
            {
                await _hypervisor.TerminateAsync();
                _parts.UpdateIfPossible(r => r with { Phase = MachinePhase.Ended, FailureReason = reason });
                _state = MachineState.Failed;
                Log.Ended(_context.Logger, Record.Id, Record.Spec.Name, console.Length == 0 ? reason : $"{reason} Its console ended with:\n{console}");
            }
            else if (_state != MachineState.Stopped)
            {
                _state = MachineState.Stopped;
            }

            SetExited(new ProcessExit(null, null, stopping ? "The machine was stopped." : reason));
            _ = _ended.TrySetResult();
            await _gone.CancelAsync();
            if (!stopping)
                await _parts.ReleaseAsync();
        }
        finally
        {
            _ = _changing.Release();
        }
    }

    /// <summary>Waits for the main process's end, over as many connections as it takes.</summary>
    private async Task FollowMainAsync()
    {
        if (!Record.HasMain || Record.Exit is not null)
            return;
        while (!_gone.IsCancellationRequested)
        {
            try
            {
                var agent = await GetAgentAsync(_gone.Token);
                var exit = agent.Info.MainExit ?? await agent.MainExited.WaitAsync(_gone.Token);
                _parts.UpdateIfPossible(r => r with { Exit = exit });
                if (_state == MachineState.Running)
                    _state = MachineState.Stopped;
                SetExited(exit);
                return;
            }
            catch (AgentException)
            {
                // The next connection tells.
                await Task.Delay(OutputLimit / 10, _context.Time, CancellationToken.None);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>Steps: 1 the main process, 2 power off for the sake of drives, 3 removal.</summary>
    private async Task StopCoreAsync()
    {
        _parts.UpdateIfPossible(r => r with { IsStopping = true });
        if (_hypervisor is not null && !_ended.Task.IsCompleted)
        {
            try
            {
                if (_state == MachineState.Paused)
                    await _hypervisor.ResumeAsync(CancellationToken.None);
                // Whoever gives no grace wants it gone at once, with what it has.
                if (Record.Spec.SharedFolders.Count > 0 && _graceEnd > _context.Time.GetUtcNow())
                    await EndWithFoldersAsync();
                else if (Record.Spec.BeforeShutdown.Count > 0)
                    await ShutDownAsync();
                else
                    await EndMainAsync();
                if (!_hypervisor.Ended.IsCompleted && (Record.Spec.DiskPath is not null || Record.Spec.Drives.Any(d => !d.ReadOnly)))
                    await PowerOffAsync();
            }
            catch (Exception e) when (e is AgentException or HypervisorException or OperationCanceledException or MachineException or IOException or UnauthorizedAccessException)
            {
                Log.ShutdownFailed(_context.Logger, Record.Id, e.Message);
            }
        }

        await RemoveAsync();
    }

    /// <summary>The guest ends itself in order, its hooks first: they may need its main process.</summary>
    private async Task ShutDownAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_graceOver.Token, _gone.Token);
        try
        {
            var agent = await GetAgentAsync(limit.Token);
            var grace = (_graceEnd - _context.Time.GetUtcNow()).TotalSeconds;
            await agent.ShutdownAsync(TimeSpan.FromSeconds(Math.Clamp(grace, 0, 3600)), Record.Spec.StopSignal, limit.Token);
            _ = await _hypervisor!.Ended.WaitAsync(limit.Token);
        }
        catch (OperationCanceledException) when (_graceOver.IsCancellationRequested)
        {
            // The grace is over: what is left is skipped.
        }
    }

    /// <summary>What the guest does at its shutdown is done from here, because it must be there afterwards to give its folders back.</summary>
    private async Task EndWithFoldersAsync()
    {
        await _sharing.RunHooksAsync(_graceOver.Token);
        await EndMainAsync();
        if (!_hypervisor!.Ended.IsCompleted)
            await _sharing.TakeBackAsync(_gone.Token);
    }

    private async Task EndMainAsync()
    {
        if (!Record.HasMain || _exited.Task.IsCompleted)
            return;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_graceOver.Token, _gone.Token);
        try
        {
            var agent = await GetAgentAsync(limit.Token);
            await agent.SignalMainAsync(Record.Spec.StopSignal, limit.Token);
            _ = await _exited.Task.WaitAsync(limit.Token);
            // Whoever reads the output gets the last of it.
            var started = _context.Time.GetTimestamp();
            while (Volatile.Read(ref _readers) > 0 && _context.Time.GetElapsedTime(started) < OutputLimit && !limit.IsCancellationRequested)
                await Task.Delay(OutputLimit / 100, _context.Time, limit.Token);
        }
        catch (OperationCanceledException) when (_graceOver.IsCancellationRequested)
        {
            // The grace is over: the power goes.
        }
    }

    private async Task PowerOffAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_gone.Token);
        limit.CancelAfter(PowerOffLimit);
        var agent = await GetAgentAsync(limit.Token);
        await agent.ShutdownAsync(limit.Token);
        _ = await _hypervisor!.Ended.WaitAsync(limit.Token);
    }

    private async Task RemoveAsync()
    {
        if (_agent is not null)
            await _agent.DisposeAsync();
        if (_hypervisor is not null)
        {
            await _hypervisor.TerminateAsync();
            await _hypervisor.DisposeAsync();
        }

        await _console.CloseAsync();
        await _parts.RemoveAsync();
        if (_state != MachineState.Failed)
            _state = MachineState.Stopped;
        SetExited(new ProcessExit(null, null, "The machine was stopped."));
        _ = _ended.TrySetResult();
        await _gone.CancelAsync();
        await _detached.CancelAsync();
        await _following;
        _forget();
        Log.Removed(_context.Logger, Record.Id, Record.Spec.Name);
    }

    private void SetExited(ProcessExit exit)
    {
        _context.Names.Leave(this);
        _ = _exited.TrySetResult(exit);
    }

    private sealed class Reader(MachineLife life) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref life._readers);
    }
}
