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

    private static readonly TimeSpan ClockLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(0.1);
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
    private readonly StopGrace _grace;
    private readonly TaskCompletionSource<ProcessExit> _exited;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile MachineState _state = MachineState.Created;
    private Task? _stopping;
    private Task<MachineLife>? _becoming;
    private bool _isLeft;
    private Task _following = Task.CompletedTask;
    private int _readers;

    /// <param name="hypervisor">Null, with <paramref name="agent"/>, for a machine that has ended.</param>
    /// <param name="forget">Called once when the machine is removed.</param>
    /// <param name="before">The life that this one takes the place of.</param>
    public MachineLife(MachineContext context, MachineParts parts, IHypervisor? hypervisor, AgentLink? agent, Action forget, MachineLife? before = null)
    {
        _context = context;
        _parts = parts;
        _hypervisor = hypervisor;
        _agent = agent;
        _forget = forget;
        _console = new MachineConsole(parts.Folder, hypervisor);
        _sharing = new MachineSharing(context, this);
        _grace = new StopGrace(context.Time);
        _exited = before?._exited ?? new TaskCompletionSource<ProcessExit>(TaskCreationOptions.RunContinuationsAsynchronously);
        Names = new MachineNames(context, this);
    }

    public MachineRecord Record => _parts.Record;

    public IReadOnlyList<MachineCard> Cards => _parts.Cards;

    public MachineState State => _state;

    public Task<ProcessExit> Exited => _exited.Task;

    public MachineParts Parts => _parts;

    public MachineNames Names { get; }

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

    /// <summary>Stays asleep until it becomes another life or is removed.</summary>
    public void ShowSnapshotted() => _state = MachineState.Snapshotted;

    /// <summary>Falls asleep or wakes: another life takes this one's place. One change at a time, and none once it is being stopped.</summary>
    /// <exception cref="MachineException">It cannot be done now, or it failed and the machine is as before.</exception>
    public Task<MachineLife> BecomeAsync(Func<Task<MachineLife>> change)
    {
        lock (_gate)
        {
            if (_stopping is not null)
                throw new MachineException($"Machine {Record.Id} is being stopped.");
            if (_becoming is { IsFaulted: false, IsCanceled: false })
                throw new MachineException($"Machine {Record.Id} is falling asleep or waking already.") { IsTransient = true };
            return _becoming = Task.Run(change);
        }
    }

    /// <summary>Another life has taken the place of this one, which slept.</summary>
    public void Retire() => _gone.Cancel();

    /// <summary>The life that took this one's place, or null if none did.</summary>
    public async Task<MachineLife?> FindNextAsync()
    {
        Task<MachineLife>? becoming;
        lock (_gate)
            becoming = _becoming;
        if (becoming is null)
            return null;
        await becoming.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return becoming.IsCompletedSuccessfully ? await becoming : null;
    }

    /// <summary>Saves the running machine, and lets go of it for good with its hypervisor.</summary>
    public async Task LeaveAsync(Func<MachineSaving, Task> save)
    {
        await _changing.WaitAsync();
        try
        {
            if (_state != MachineState.Running || _hypervisor is null)
                throw new MachineException($"Machine {Record.Id} is {_state}; only a running machine can be suspended.");
            await save(new MachineSaving(_context, _parts, this, _hypervisor));
            _isLeft = true;
        }
        finally
        {
            _ = _changing.Release();
        }

        _context.Names.Leave(this);
        _ = await _console.TailAsync();
        await _console.CloseAsync();
        await _hypervisor.TerminateAsync();
        await LetGoAsync();
    }

    public async Task<AgentConnection> GetAgentAsync(CancellationToken cancellationToken)
    {
        if (_agent is not null)
            return await _agent.GetAsync(cancellationToken);
        // What has ended has none, and what sleeps has none in this life.
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _gone.Token);
        await Task.Delay(Timeout.InfiniteTimeSpan, either.Token);
        throw new OperationCanceledException(either.Token);
    }

    public MachineConsole Console => _console;

    public MachineSharing Sharing => _sharing;

    public bool HasReaders => Volatile.Read(ref _readers) > 0;

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
            limit.CancelAfter(ClockLimit);
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
            _grace.Shorten(grace);
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
        // What has begun is brought to its end: half a removal helps nobody, and half a sleep neither.
        if (stopping is not null)
            await stopping;
        if (await FindNextAsync() is { } next)
            await next.DetachAsync();
        else
            await LetGoAsync();
    }

    private async Task LetGoAsync()
    {
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
        reason = EndReason.Find(Record, _context.CgroupOf(Record.Id), console) ?? reason;
        await _changing.WaitAsync();
        try
        {
            // Its end was wanted: it sleeps.
            if (_isLeft)
                return;
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
                await Task.Delay(Retry, _context.Time, CancellationToken.None);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>Steps: 1 the guest, 2 removal.</summary>
    private async Task StopCoreAsync()
    {
        if (await FindNextAsync() is { } next)
        {
            await next.StopAsync(_grace.Left);
            return;
        }

        _parts.UpdateIfPossible(r => r with { IsStopping = true });
        if (_hypervisor is not null && !_ended.Task.IsCompleted)
        {
            try
            {
                if (_state == MachineState.Paused)
                    await _hypervisor.ResumeAsync(CancellationToken.None);
                await new GuestEnding(_context, this, _hypervisor, _grace).RunAsync();
            }
            catch (Exception e) when (e is AgentException or HypervisorException or OperationCanceledException or MachineException or IOException or UnauthorizedAccessException)
            {
                Log.ShutdownFailed(_context.Logger, Record.Id, e.Message);
            }
        }

        await RemoveAsync();
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
