using System.Threading.Tasks.Sources;

namespace BytePort.Edge.Listening.Loops;

/// <summary>
/// Wakes one waiter, which runs at once on the thread that sets it. A signal that nobody waits for is kept (once), so none
/// is lost between a look and the wait.
/// </summary>
internal sealed class Signal : IValueTaskSource
{
    private const int Clear = 0;
    private const int Set = 1;
    private const int Waiting = 2;

    private ManualResetValueTaskSourceCore<bool> _core;
    private int _state;

    /// <summary>Only one at a time may wait.</summary>
    public ValueTask WaitAsync()
    {
        if (Interlocked.CompareExchange(ref _state, Clear, Set) == Set)
            return ValueTask.CompletedTask;
        _core.Reset();
        if (Interlocked.CompareExchange(ref _state, Waiting, Clear) == Clear)
            return new ValueTask(this, _core.Version);
        Volatile.Write(ref _state, Clear);
        return ValueTask.CompletedTask;
    }

    public void Raise()
    {
        if (Interlocked.CompareExchange(ref _state, Set, Clear) != Waiting)
            return;

        // Only who raises ends a wait, and the waiter comes back only after this.
        if (Interlocked.CompareExchange(ref _state, Clear, Waiting) == Waiting)
            _core.SetResult(true);
    }

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags & ~ValueTaskSourceOnCompletedFlags.UseSchedulingContext);
}
