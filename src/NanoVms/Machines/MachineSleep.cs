using NanoVms.Drivers;
using NanoVms.Images;
using NanoVms.Snapshots;

namespace NanoVms.Machines;

/// <summary>
/// Puts machines to sleep and wakes them. One that sleeps is its folder: memory, devices and disk; it keeps its id, addresses and place, and
/// takes neither memory nor processor.
/// </summary>
/// <remarks>
/// After a crash at any moment it either sleeps or runs: it sleeps from when its state file says so, with everything on the disk, and runs
/// from when the state file says that, which is before its processors may change the disk and make what was saved a thing of the past.
/// </remarks>
/// <param name="boot">What machines boot now.</param>
/// <param name="forget">Called once when the machine is removed.</param>
internal sealed class MachineSleep(
    MachineContext context, MachineStarter starter, SemaphoreSlim booting, Func<CancellationToken, Task<BootFiles>> boot, Action<string> forget)
{
    /// <exception cref="MachineException">It cannot be done, and the machine goes on.</exception>
    public async Task<MachineLife> SuspendAsync(MachineLife life, CancellationToken cancellationToken)
    {
        await life.LeaveAsync(saving => saving.SleepAsync(cancellationToken));
        await life.Parts.ReleaseAsync(keepsDisk: true);
        life.Parts.UpdateIfPossible(r => r with { Process = null });
        Log.Suspended(context.Logger, life.Record.Id, life.Record.Spec.Name);
        return Sleeping(life.Parts, life);
    }

    /// <summary>The life of a machine that sleeps.</summary>
    public MachineLife Sleeping(MachineParts parts, MachineLife? before = null)
    {
        var life = new MachineLife(context, parts, null, null, () => forget(parts.Record.Id), before);
        life.ShowSnapshotted();
        return life;
    }

    /// <param name="main">
    /// What runs if what was saved turns out to be damaged: the machine is then booted with its disk as it was. Without it one that had a main process stays asleep.
    /// </param>
    /// <exception cref="MachineException">It did not come up: it sleeps on or, when it had begun to go on, it has ended.</exception>
    public async Task<MachineLife> WakeAsync(MachineLife life, ProcessSpec? main, CancellationToken cancellationToken)
    {
        var record = life.Record;
        var driver = context.Drivers.Of(record);
        var files = driver.Capabilities.HasFlag(DriverCapabilities.OwnKernel) ? await boot(cancellationToken) : new BootFiles("", "");
        await booting.WaitAsync(cancellationToken);
        try
        {
            // From here on not canceled: who left in the middle would end a machine that is going on already.
            return await WakeAsync(life, driver, files);
        }
        catch (MachineException e) when (e.InnerException is SnapshotException damage && (main is not null || !record.HasMain))
        {
            Log.BootedInstead(context.Logger, record.Id, record.Spec.Name, e.Message);
            life.Parts.Update(r => r with { OutputBefore = r.OutputAsleep, BootedInstead = damage.Message });
            return await BringUpAsync(life, new MachineBoot(driver, record.Spec, files, main) { IsAwaking = true });
        }
        finally
        {
            _ = booting.Release();
        }
    }

    private async Task<MachineLife> WakeAsync(MachineLife life, IMachineDriver driver, BootFiles files)
    {
        var parts = life.Parts;
        try
        {
            var snapshot = SnapshotManifest.Read(parts.SleepFolder);
            return await BringUpAsync(life, new MachineRestore(driver, parts.Record.Spec, files, parts.SleepFolder, snapshot) { IsAwaking = true });
        }
        catch (SnapshotException e)
        {
            throw new MachineException($"Machine {parts.Record.Id} was not woken: {e.Message}", e);
        }
    }

    private async Task<MachineLife> BringUpAsync(MachineLife life, MachineStart start)
    {
        var parts = life.Parts;
        var id = parts.Record.Id;
        try
        {
            var (hypervisor, agent) = await starter.WakeAsync(start, parts, CancellationToken.None);
            var next = new MachineLife(context, parts, hypervisor, agent, () => forget(id), life);
            next.Follow(MachineState.Running);
            Log.Woken(context.Logger, id, parts.Record.Spec.Name, parts.Record.Timings.AgentReady);
            RemoveSaved(parts);
            return next;
        }
        catch (Exception e) when (parts.Record.Phase == MachinePhase.Running)
        {
            // Its disk is not what was saved with its memory any more.
            await parts.ReleaseAsync();
            parts.UpdateIfPossible(r => r with { Phase = MachinePhase.Ended, FailureReason = $"It did not wake: {e.Message}" });
            RemoveSaved(parts);
            var ended = new MachineLife(context, parts, null, null, () => forget(id), life);
            ended.ShowEnded();
            return ended;
        }
        catch
        {
            await parts.ReleaseAsync(keepsDisk: true);
            parts.UpdateIfPossible(r => r with { Process = null });
            throw;
        }
    }

    private static void RemoveSaved(MachineParts parts)
    {
        try
        {
            if (Directory.Exists(parts.SleepFolder))
                Directory.Delete(parts.SleepFolder, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Of no use any more, and no reason to end a machine: the next sleep removes it, or the next host.
        }
    }
}
