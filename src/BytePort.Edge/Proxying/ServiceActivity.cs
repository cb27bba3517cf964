namespace BytePort.Edge.Proxying;

/// <summary>How busy a service is and when it was last used: what decides that it may sleep.</summary>
internal sealed class ServiceActivity(TimeProvider time)
{
    private int _inFlight;
    private long _lastTicks;

    public int InFlight => Volatile.Read(ref _inFlight);

    public DateTimeOffset? Last => Volatile.Read(ref _lastTicks) is var ticks and not 0 ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;

    public void Enter()
    {
        Interlocked.Increment(ref _inFlight);
        Volatile.Write(ref _lastTicks, time.GetUtcNow().UtcTicks);
    }

    public void Leave()
    {
        Volatile.Write(ref _lastTicks, time.GetUtcNow().UtcTicks);
        Interlocked.Decrement(ref _inFlight);
    }
}
