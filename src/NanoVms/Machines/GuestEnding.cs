using NanoVms.Drivers;

namespace NanoVms.Machines;

/// <summary>Ends what runs in a guest, in order, before its hypervisor is ended.</summary>
internal sealed class GuestEnding(MachineContext context, MachineLife life, IHypervisor hypervisor, StopGrace grace)
{
    private static readonly TimeSpan PowerOffLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan OutputLimit = TimeSpan.FromSeconds(1);

    private MachineRecord Record => life.Record;

    /// <summary>Steps: 1 the main process, with what runs at a shutdown, 2 power off for the sake of drives.</summary>
    public async Task RunAsync()
    {
        // 1. Whoever gives no grace wants it gone at once, with what it has.
        if (Record.Spec.SharedFolders.Count > 0 && grace.Left != TimeSpan.Zero)
            await EndWithFoldersAsync();
        else if (Record.Spec.BeforeShutdown.Count > 0)
            await ShutDownAsync();
        else
            await EndMainAsync();

        // 2.
        if (!hypervisor.Ended.IsCompleted && (Record.Spec.DiskPath is not null || Record.Spec.Drives.Any(d => !d.ReadOnly)))
            await PowerOffAsync();
    }

    /// <summary>The guest ends itself in order, its hooks first: they may need its main process.</summary>
    private async Task ShutDownAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(grace.Over, life.Gone);
        try
        {
            var agent = await life.GetAgentAsync(limit.Token);
            var seconds = grace.Left == Timeout.InfiniteTimeSpan ? 3600 : grace.Left.TotalSeconds;
            await agent.ShutdownAsync(TimeSpan.FromSeconds(Math.Clamp(seconds, 0, 3600)), Record.Spec.StopSignal, limit.Token);
            _ = await hypervisor.Ended.WaitAsync(limit.Token);
        }
        catch (OperationCanceledException) when (grace.Over.IsCancellationRequested)
        {
            // The grace is over: what is left is skipped.
        }
    }

    /// <summary>What the guest does at its shutdown is done from here, because it must be there afterwards to give its folders back.</summary>
    private async Task EndWithFoldersAsync()
    {
        await life.Sharing.RunHooksAsync(grace.Over);
        await EndMainAsync();
        if (!hypervisor.Ended.IsCompleted)
            await life.Sharing.TakeBackAsync(life.Gone);
    }

    private async Task EndMainAsync()
    {
        if (!Record.HasMain || life.Exited.IsCompleted)
            return;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(grace.Over, life.Gone);
        try
        {
            var agent = await life.GetAgentAsync(limit.Token);
            await agent.SignalMainAsync(Record.Spec.StopSignal, limit.Token);
            _ = await life.Exited.WaitAsync(limit.Token);
            // Whoever reads the output gets the last of it.
            var started = context.Time.GetTimestamp();
            while (life.HasReaders && context.Time.GetElapsedTime(started) < OutputLimit && !limit.IsCancellationRequested)
                await Task.Delay(OutputLimit / 100, context.Time, limit.Token);
        }
        catch (OperationCanceledException) when (grace.Over.IsCancellationRequested)
        {
            // The grace is over: the power goes.
        }
    }

    private async Task PowerOffAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(life.Gone);
        limit.CancelAfter(PowerOffLimit);
        var agent = await life.GetAgentAsync(limit.Token);
        await agent.ShutdownAsync(limit.Token);
        _ = await hypervisor.Ended.WaitAsync(limit.Token);
    }
}
