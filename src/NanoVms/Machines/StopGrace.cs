namespace NanoVms.Machines;

/// <summary>How long a machine that is being stopped may still take; whoever asks again may shorten it.</summary>
#pragma warning disable CA1001 // Its token is asked for after its end too, and holds no more than memory.
internal sealed class StopGrace(TimeProvider time)
#pragma warning restore CA1001
{
    private readonly CancellationTokenSource _over = new(Timeout.InfiniteTimeSpan, time);
    private DateTimeOffset _end = DateTimeOffset.MaxValue;

    /// <summary>Canceled when what is left is to be skipped.</summary>
    public CancellationToken Over => _over.Token;

    /// <summary>Zero when it is over; infinite when there is no end to it.</summary>
    public TimeSpan Left => _end == DateTimeOffset.MaxValue
        ? Timeout.InfiniteTimeSpan
        : TimeSpan.FromTicks(Math.Max(0, (_end - time.GetUtcNow()).Ticks));

    /// <summary>For one caller at a time.</summary>
    public void Shorten(TimeSpan grace)
    {
        var end = grace == Timeout.InfiniteTimeSpan ? DateTimeOffset.MaxValue : time.GetUtcNow() + grace;
        if (end >= _end)
            return;
        _end = end;
        _over.CancelAfter(grace);
    }
}
