using System.Security.Cryptography;
using NanoVms.Agent;
using NanoVms.Agent.Protocol;
using NanoVms.Drivers;
using NanoVms.Snapshots;

namespace NanoVms.Machines;

/// <summary>Saves a running machine. Nothing else changes it meanwhile.</summary>
internal sealed class MachineSaving(MachineContext context, MachineParts parts, MachineLife life, IHypervisor hypervisor)
{
    private const int SeedBytes = 64;

    /// <summary>More than a guest can have written: what it says is not trusted.</summary>
    private const long MaxOutput = 1L << 50;
    private static readonly TimeSpan ThawLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(50);

    /// <summary>After this a guest goes on by itself, should the host die meanwhile.</summary>
    private static readonly TimeSpan FreezeLimit = TimeSpan.FromMinutes(1);

    /// <summary>Steps: 1 the guest becomes still, 2 halts, 3 is saved, 4 goes on.</summary>
    /// <exception cref="MachineException">It cannot be saved; it goes on.</exception>
    public async Task RunAsync(string folder, string? parent, CancellationToken cancellationToken)
    {
        var record = parts.Record;
        if (parent is not null && !context.Drivers.Of(record).Capabilities.HasFlag(DriverCapabilities.IncrementalSnapshot))
            throw new MachineException($"Machine {record.Id} cannot be snapshotted on another snapshot: driver '{record.Driver}' saves whole machines only.");
        if (record.Spec.Drives.FirstOrDefault(drive => !drive.ReadOnly) is { } drive)
            throw new MachineException($"Machine {record.Id} cannot be snapshotted: what is on its drive '{drive.Name}' would not be saved with it, and two machines must not write to one drive.");
        await FreezeAsync(
            async _ =>
            {
                await HaltAsync(() => SaveAsync(folder, parent, MachineDisk.PathOf(parts.Folder, record.Spec), cancellationToken), cancellationToken);
                // 4
                await hypervisor.ResumeAsync(CancellationToken.None);
                return false;
            },
            cancellationToken);
    }

    /// <summary>Saves the machine into its own folder, where its disk is already, and leaves it halted.</summary>
    /// <exception cref="MachineException">It cannot be saved; it goes on.</exception>
    public Task SleepAsync(CancellationToken cancellationToken) => FreezeAsync(
        async agent =>
        {
            try
            {
                var written = (await agent.GetServicesAsync(cancellationToken)).FirstOrDefault(service => service.Name == Wire.MainService)?.OutputBytes ?? 0;
                if (Directory.Exists(parts.SleepFolder))
                    Directory.Delete(parts.SleepFolder, recursive: true);
                await HaltAsync(
                    async () =>
                    {
                        await SaveAsync(parts.SleepFolder, null, null, cancellationToken);
                        // From here on it sleeps, whatever becomes of this process.
                        parts.Update(r => r with { Phase = MachinePhase.Suspended, IsSaving = false, OutputAsleep = r.OutputBefore + Math.Clamp(written, 0, MaxOutput) });
                    },
                    cancellationToken);
                return true;
            }
            catch
            {
                if (Directory.Exists(parts.SleepFolder))
                    Directory.Delete(parts.SleepFolder, recursive: true);
                throw;
            }
        },
        cancellationToken);

    /// <summary>Lets a guest go on that a host which is gone was saving. It does so by itself, but only after a minute.</summary>
    public async Task<MachineState> GoOnAsync(MachineState state)
    {
        try
        {
            if (state == MachineState.Paused)
                await ResumeAsync();
            state = MachineState.Running;
            await ThawAsync();
            parts.Update(r => r with { IsSaving = false });
        }
        catch (Exception e) when (e is AgentException or HypervisorException or OperationCanceledException or IOException or UnauthorizedAccessException)
        {
            Log.NotThawed(context.Logger, parts.Record.Id, e.Message);
        }

        return state;
    }

    /// <summary>A hypervisor that is still writing its devices' state down refuses to go on until that is done.</summary>
    private async Task ResumeAsync()
    {
        var started = context.Time.GetTimestamp();
        while (true)
        {
            try
            {
                await hypervisor.ResumeAsync(CancellationToken.None);
                return;
            }
            catch (HypervisorException) when (context.Time.GetElapsedTime(started) < ThawLimit)
            {
                await Task.Delay(Retry, context.Time, CancellationToken.None);
            }
        }
    }

    /// <param name="then">Returns whether the guest stays still; if not, or if it fails, the guest's processors run again.</param>
    private async Task FreezeAsync(Func<AgentConnection, Task<bool>> then, CancellationToken cancellationToken)
    {
        var record = parts.Record;
        if (!context.Drivers.Of(record).Capabilities.HasFlag(DriverCapabilities.Snapshot))
            throw new MachineException($"Machine {record.Id} cannot be snapshotted: driver '{record.Driver}' cannot do that.");
        if (record.PciLoans.Count > 0)
            throw new MachineException($"Machine {record.Id} cannot be snapshotted: what its PCI device {record.PciLoans[0].Address} holds cannot be saved.");
        try
        {
            // 1
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, life.Gone);
            var agent = await life.GetAgentAsync(limit.Token);
            var staysStill = false;
            try
            {
                parts.Update(r => r with { IsSaving = true });
                await agent.FreezeAsync(FreezeLimit, limit.Token);
                staysStill = await then(agent);
            }
            finally
            {
                if (!staysStill)
                {
                    await ThawAsync();
                    parts.UpdateIfPossible(r => r with { IsSaving = false });
                }
            }
        }
        catch (SnapshotException e)
        {
            throw new MachineException($"Machine {record.Id} was not snapshotted: {e.Message}", e);
        }
        catch (Exception e) when (e is AgentException or HypervisorException or IOException or UnauthorizedAccessException)
        {
            throw new MachineException($"Machine {record.Id} was not snapshotted: {e.Message}", e) { IsTransient = true };
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new MachineException($"Machine {record.Id} was not snapshotted: it ended, or its agent did not answer.", e) { IsTransient = true };
        }
    }

    /// <summary>Leaves the guest halted, unless what is done meanwhile fails.</summary>
    private async Task HaltAsync(Func<Task> save, CancellationToken cancellationToken)
    {
        // 2. Not canceled: an order that has gone out halts the guest whether or not somebody still waits for the answer.
        cancellationToken.ThrowIfCancellationRequested();
        await hypervisor.PauseAsync(CancellationToken.None);
        try
        {
            // 3
            await save();
        }
        catch
        {
            await hypervisor.ResumeAsync(CancellationToken.None);
            throw;
        }
    }

    private Task SaveAsync(string folder, string? parent, string? disk, CancellationToken cancellationToken) =>
        SnapshotWriter.WriteAsync(folder, parent, disk, parts.Record, hypervisor, context.Time, cancellationToken);

    private async Task ThawAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(life.Gone);
        limit.CancelAfter(ThawLimit);
        var agent = await life.GetAgentAsync(limit.Token);
        await agent.ThawAsync(new ThawConfig { UtcNow = context.Time.GetUtcNow(), RandomSeed = RandomNumberGenerator.GetBytes(SeedBytes) }, limit.Token);
    }
}
