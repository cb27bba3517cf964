using NanoVms.Commands;
using NanoVms.Machines;
using NanoVms.Machines.Cgroups;

namespace NanoVms.Drivers.Container;

/// <summary>One running container, by its first process: the agent, with which everything in it ends.</summary>
internal sealed class ContainerProcess(string folder, ProcessIdentity identity, TimeProvider time) : IHypervisor
{
    private readonly TaskCompletionSource<string> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private ContainerConsole? _console = ContainerConsole.Open(folder);
    private Task _watching = Task.CompletedTask;

    public ProcessIdentity Identity => identity;

    public Task<string> Ended => _ended.Task;

    public Task<MachineState> ConnectAsync(CancellationToken cancellationToken)
    {
        if (!identity.IsAlive)
            throw new HypervisorException($"The container ended at once. {ConsoleText.Tail(_console?.Take() ?? [])}".TrimEnd());
        _watching = WatchAsync(_stop.Token);
        return Task.FromResult(CgroupFreezer.Of(identity.Id) is { IsFrozen: true } ? MachineState.Paused : MachineState.Running);
    }

    public void GiveUp(string reason) => _ = _ended.TrySetResult(reason);

    public async Task<Stream> ConnectAgentAsync(CancellationToken cancellationToken) =>
        await UnixSockets.ConnectAsync(folder, ContainerLaunch.AgentSocket, cancellationToken);

    public Task PauseAsync(CancellationToken cancellationToken) => SetFrozenAsync(true, cancellationToken);

    public Task ResumeAsync(CancellationToken cancellationToken) => SetFrozenAsync(false, cancellationToken);

    public Task SaveAsync(string folder, string? parent, CancellationToken cancellationToken) => throw CannotSave();

    public Task LoadAsync(string folder, CancellationToken cancellationToken) => throw CannotSave();

    /// <summary>Nothing to do: what a container does not use was never taken from the computer.</summary>
    public Task SqueezeAsync(long all, long least, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task<byte[]> ReadConsoleAsync(CancellationToken cancellationToken)
    {
        lock (_stop)
            return Task.FromResult(_console?.Take() ?? []);
    }

    public Task TerminateAsync() => CgroupFreezer.KillAsync(identity, time, CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        lock (_stop)
        {
            _console?.Dispose();
            _console = null;
        }
    }

    private static HypervisorException CannotSave() => new("A container cannot be saved: its memory is the computer's kernel's too.");

    private async Task SetFrozenAsync(bool frozen, CancellationToken cancellationToken)
    {
        var freezer = CgroupFreezer.Of(identity.Id)
            ?? throw new HypervisorException("The container cannot be halted: this computer has no control group that can (freezer, or version 2).");
        try
        {
            await freezer.SetAsync(frozen, time, cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HypervisorException(e.Message, e);
        }
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        try
        {
            await ProcessEnd.WaitAsync(identity, cancellationToken);
            _ = _ended.TrySetResult("The container's first process was killed or ended.");
        }
        catch (OperationCanceledException)
        {
            // Let go.
        }
        catch (IOException e)
        {
            _ = _ended.TrySetResult($"The container's first process cannot be watched: {e.Message}");
        }
    }
}
