using NanoVms.Agent;
using NanoVms.Drivers;

namespace NanoVms.Machines;

/// <summary>What happens once to a machine some time after its start.</summary>
internal sealed class MachineSettling(MachineContext context, MachineRecord record, MachineLife life, IHypervisor hypervisor)
{
    /// <summary>Bytes that a guest keeps beyond what it uses when it gives memory back; less than that is not worth the work.</summary>
    private const long MinSpare = 8 << 20;

    /// <summary>When the start is over, gives memory of the start back to the computer and begins the limit of processor time.</summary>
    public async Task RunAsync()
    {
        if (record.BurstEndsAt is not { } end)
            return;
        var wait = end - context.Time.GetUtcNow();
        try
        {
            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait, context.Time, life.Gone);
                await GiveMemoryBackAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // Ended or let go; the next host goes on.
            return;
        }
        catch (Exception e) when (e is AgentException or HypervisorException)
        {
            Log.MemoryKept(context.Logger, record.Id, e.Message);
        }

        if (record.Spec.CpuLimit is { } limit)
            context.CgroupOf(record.Id).LimitCpu(limit);
    }

    /// <summary>A started service no longer needs most of the files that it was started from, which fill its guest's memory.</summary>
    private async Task GiveMemoryBackAsync()
    {
        // A machine for single commands, such as a build, profits from its cache until it ends.
        if (!record.HasMain || life.State != MachineState.Running)
            return;
        var agent = await life.GetAgentAsync(life.Gone);
        var stats = await agent.GetStatsAsync(life.Gone);
        var all = (long)record.Spec.MemoryMiB << 20;
        var least = all - stats.MemoryTotal + stats.MemoryUsed + Math.Max(MinSpare, stats.MemoryUsed / 8);
        if (least < all - MinSpare)
            await hypervisor.SqueezeAsync(all, least, life.Gone);
    }
}
