namespace NanoVms.Agent;

/// <summary>Something that the <see cref="EventLoop"/> does later, once.</summary>
/// <param name="deadline">By the clock since boot: setting the time of day moves no timer.</param>
internal sealed class LoopTimer(long deadline, Action action)
{
    public long Deadline { get; } = deadline;

    public Action Action { get; } = action;

    public bool IsStopped { get; private set; }

    public void Stop() => IsStopped = true;
}
