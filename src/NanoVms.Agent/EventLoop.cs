using NanoVms.Agent.Interop;

namespace NanoVms.Agent;

/// <summary>
/// One thread waits for all descriptors. A guest has one processor as a rule and everything the agent does is short, so threads
/// would only add start-up time and locks.
/// </summary>
internal sealed unsafe class EventLoop
{
    private const int Batch = 64;

    private readonly int _epoll = Libc.EpollCreate(Libc.O_CLOEXEC);
    private readonly Dictionary<int, Action<uint>> _handlers = [];
    private readonly List<LoopTimer> _timers = [];

    /// <summary>Called after every batch of events.</summary>
    public Action? Idle { get; set; }

    /// <summary>Told of what a handler failed with. The loop goes on: one process's trouble must not end the guest.</summary>
    public Action<Exception>? Failed { get; set; }

    public void Add(int fd, uint events, Action<uint> handler)
    {
        var item = new Libc.EpollEvent { Events = events, Fd = fd };
        // SAFETY: the kernel copies the item.
        if (Libc.EpollControl(_epoll, Libc.EPOLL_CTL_ADD, fd, &item) != 0)
            throw AgentFailure.Of("cannot wait for a descriptor");
        _handlers[fd] = handler;
    }

    public void Remove(int fd)
    {
        var item = default(Libc.EpollEvent);
        // SAFETY: the item is not used by this operation.
        _ = Libc.EpollControl(_epoll, Libc.EPOLL_CTL_DEL, fd, &item);
        _handlers.Remove(fd);
    }

    /// <summary>Calls back once after a time, unless the timer is stopped before.</summary>
    public LoopTimer After(TimeSpan time, Action action)
    {
        var timer = new LoopTimer(Clock.Uptime + time.Ticks, action);
        _timers.Add(timer);
        return timer;
    }

    /// <summary>Waits for events and hands them out, once.</summary>
    public void RunOnce(int milliseconds = -1)
    {
        var items = stackalloc Libc.EpollEvent[Batch];
        // SAFETY: at most Batch items are written.
        var count = Libc.EpollWait(_epoll, items, Batch, UntilNextTimer(milliseconds));
        for (var i = 0; i < count; i++)
        {
            // An earlier handler of this batch may have removed it.
            if (_handlers.TryGetValue(items[i].Fd, out var handler))
                Guard(handler, items[i].Events);
        }

        RunTimers();
        Guard(_ => Idle?.Invoke(), 0);
    }

    private int UntilNextTimer(int milliseconds)
    {
        foreach (var timer in _timers)
        {
            // Rounded up: a timer that is not quite due would make the loop spin.
            var left = (int)Math.Clamp(((timer.Deadline - Clock.Uptime) / TimeSpan.TicksPerMillisecond) + 1, 0, int.MaxValue);
            milliseconds = milliseconds < 0 ? left : Math.Min(milliseconds, left);
        }

        return milliseconds;
    }

    private void RunTimers()
    {
        for (var i = _timers.Count - 1; i >= 0; i--)
        {
            var timer = _timers[i];
            if (!timer.IsStopped && timer.Deadline > Clock.Uptime)
                continue;
            _timers.RemoveAt(i);
            if (!timer.IsStopped)
                Guard(_ => timer.Action(), 0);
        }
    }

    private void Guard(Action<uint> handler, uint events)
    {
        try
        {
            handler(events);
        }
        catch (Exception failure)
        {
            Failed?.Invoke(failure);
        }
    }
}
