namespace BytePort.Edge.Proxying;

/// <summary>What changes about one upstream: how many requests are under way. It outlives route tables.</summary>
internal sealed class UpstreamState
{
    private readonly Lock _lock = new();
    private TaskCompletionSource? _idle;
    private int _inFlight;

    public int InFlight => Volatile.Read(ref _inFlight);

    public void Enter() => Interlocked.Increment(ref _inFlight);

    public void Leave()
    {
        if (Interlocked.Decrement(ref _inFlight) > 0)
            return;
        lock (_lock)
        {
            if (InFlight > 0)
                return;
            _idle?.TrySetResult();
            _idle = null;
        }
    }

    /// <summary>Completes when no request is under way, at once if none is now.</summary>
    public Task WhenIdle()
    {
        lock (_lock)
        {
            // The waiter is made known first: a Leave that comes after the check below finds it.
            var waiter = _idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (InFlight > 0)
                return waiter.Task;
            _idle = null;
            waiter.TrySetResult();
            return waiter.Task;
        }
    }
}
