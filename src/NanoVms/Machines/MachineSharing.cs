using NanoVms.Agent;

namespace NanoVms.Machines;

/// <summary>A running machine's shared folders, and what runs in it before they are taken back for the last time.</summary>
#pragma warning disable CA1001 // Its semaphore has no wait handle; the collector takes it with the machine.
internal sealed class MachineSharing(MachineContext context, MachineLife life)
#pragma warning restore CA1001
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);
    private readonly SemaphoreSlim _taking = new(1);

    /// <summary>Takes all of them back as they are now.</summary>
    /// <exception cref="MachineException">One of them did not come; it is as before.</exception>
    public async Task TakeBackAsync(CancellationToken cancellationToken)
    {
        var record = life.Record;
        await _taking.WaitAsync(cancellationToken);
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, life.Gone);
            limit.CancelAfter(Limit);
            var files = (await life.GetAgentAsync(limit.Token)).Files(Explain);
            foreach (var shared in record.Spec.SharedFolders)
                await SharedFolder.TakeBackAsync(files, shared, limit.Token);
        }
        catch (AgentException e)
        {
            throw Explain(e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new MachineException($"Machine {record.Id} did not give its shared folders back in {Limit.TotalMinutes:0} minutes, or ended.", e) { IsTransient = true };
        }
        finally
        {
            _ = _taking.Release();
        }

        MachineException Explain(AgentException failure) =>
            new($"Machine {record.Id} does not give its shared folders back: {failure.Message}", failure) { IsTransient = failure.IsTransient };
    }

    /// <summary>Runs what runs at the guest's shutdown; a failure is only told, because the machine is being stopped.</summary>
    /// <param name="graceOver">Canceled when what is left is to be skipped.</param>
    public async Task RunHooksAsync(CancellationToken graceOver)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(graceOver, life.Gone);
        try
        {
            var agent = await life.GetAgentAsync(limit.Token);
            foreach (var hook in life.Record.Spec.BeforeShutdown)
                await RunAsync(agent, hook, limit.Token);
        }
        catch (OperationCanceledException) when (graceOver.IsCancellationRequested)
        {
            // The grace is over.
        }
    }

    private async Task RunAsync(AgentConnection agent, HookSpec hook, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(hook.Limit);
        try
        {
            var exit = await agent.RunAsync(hook.Process, null, limit.Token);
            if (exit.ExitCode != 0)
                Log.ShutdownFailed(context.Logger, life.Record.Id, $"'{hook.Process.Command[0]}' failed: {exit.Reason}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            Log.ShutdownFailed(context.Logger, life.Record.Id, $"'{hook.Process.Command[0]}' did not end in {hook.Limit.TotalSeconds:0} seconds.");
        }
    }
}
