using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using NanoVms.Agent;
using NanoVms.Commands;
using NanoVms.Drivers;
using NanoVms.Images;
using NanoVms.Network;
using NanoVms.Pci;
using NanoVms.Snapshots;

namespace NanoVms.Machines;

/// <summary>Brings one machine up, or leaves nothing of it.</summary>
/// <remarks>
/// Steps: 1 address, 2 folder with state file, 3 disk, tap with rules, and control group, 4 process, 5 agent, 6 configuration,
/// 7 setup, if any, and main process, 8 state file says running. A restored machine has its main process already: 6 gives it its new identity. Whatever fails or is canceled, all is undone; after a crash the next host does that.
/// </remarks>
internal sealed class MachineStarter(MachineContext context, MachineHostOptions options)
{
    private const int SeedBytes = 256;
    private static readonly TimeSpan ErrorLimit = TimeSpan.FromSeconds(1);

    /// <summary>Returns the running machine's parts; the caller follows it.</summary>
    /// <param name="booted">Called when what takes the computer's processors is over; not when it fails before.</param>
    /// <exception cref="MachineException">It did not come up; nothing of it is left.</exception>
    public async Task<(MachineParts Parts, IHypervisor Hypervisor, AgentLink Agent)> StartAsync(
        MachineStart start, Action booted, CancellationToken cancellationToken)
    {
        var (driver, spec) = (start.Driver, start.Spec);
        var started = context.Time.GetTimestamp();
        var status = await driver.GetStatusAsync(cancellationToken);
        if (!status.Usable)
            throw new MachineException($"Machine '{spec.Name}' was not started: driver '{driver.Name}' does not work on this computer. {status.Reason}");

        // 1
        var place = context.Network.Pool.Take()
            ?? throw new MachineException($"No address is free for machine '{spec.Name}': all of {context.Network.Prefix} are in use.") { IsTransient = true };
        IReadOnlyList<CardRecord> cards;
        try
        {
            cards = MachineCards.Take(spec, context.Network.Networks);
        }
        catch (NetworkException e)
        {
            context.Network.Pool.Release(place);
            throw new MachineException($"Machine '{spec.Name}' was not started: {e.Message}", e);
        }

        var parts = new MachineParts(context, new MachineRecord
        {
            Cards = cards,
            Id = NewId(),
            Spec = spec,
            Driver = driver.Name,
            Accelerated = status.Accelerated,
            Place = place,
            HasMain = start.HasMain,
            BootedInstead = (start as MachineBoot)?.Instead?.Reason,
            StartedAt = context.Time.GetUtcNow(),
        });
        try
        {
            // 2
            parts.Create();
            // 3 to 7
            var (hypervisor, agent, timings) = await BringUpAsync(start, parts, started, booted, cancellationToken);
            // 8
            parts.Update(r => r with { Phase = MachinePhase.Running, Timings = timings, BurstEndsAt = context.Time.GetUtcNow() + spec.BootBurst });
            return (parts, hypervisor, agent);
        }
        catch
        {
            await parts.RemoveAsync();
            throw;
        }
    }

    /// <summary>Brings up a machine that slept, as it was or, with its disk, from its boot on. The caller follows it, and takes away what a failure leaves.</summary>
    /// <exception cref="MachineException">It did not come up.</exception>
    public async Task<(IHypervisor Hypervisor, AgentLink Agent)> WakeAsync(MachineStart start, MachineParts parts, CancellationToken cancellationToken)
    {
        var (hypervisor, agent, timings) = await BringUpAsync(start, parts, context.Time.GetTimestamp(), () => { }, cancellationToken);
        parts.Update(r => r with { Phase = MachinePhase.Running, IsSaving = false, Timings = timings, BootedInstead = start is MachineRestore ? null : r.BootedInstead });
        return (hypervisor, agent);
    }

    /// <summary>Steps 3 to 7.</summary>
    private async Task<(IHypervisor Hypervisor, AgentLink Agent, MachineTimings Timings)> BringUpAsync(
        MachineStart start, MachineParts parts, long started, Action booted, CancellationToken cancellationToken)
    {
        IHypervisor? hypervisor = null;
        AgentLink? agent = null;
        MachineConsole? console = null;
        MachineConsoleFeed? feed = null;
        try
        {
            // 3 and 4
            using var errors = new ErrorTail();
            hypervisor = start.Driver.Attach(parts.Folder, parts.Record, await LaunchAsync(start, parts, errors, cancellationToken));
            console = new MachineConsole(parts.Folder, hypervisor);
            await ConnectAsync(hypervisor, errors, start, parts, cancellationToken);
            feed = (start as MachineBoot)?.Setup?.OnConsole is { } told ? new MachineConsoleFeed(console, told, context.Time) : null;
            var processStart = context.Time.GetElapsedTime(started);

            // 5
            agent = new AgentLink(parts.Record.Id, hypervisor, context.Logger, context.Time);
            var connection = await WaitForAgentAsync(hypervisor, agent, start.Spec, cancellationToken);
            var agentReady = context.Time.GetElapsedTime(started);

            // 6 and 7
            await SetUpAsync(connection, start, parts, booted, cancellationToken);
            // The beginning, before the guest writes more than the hypervisor holds.
            _ = await console.ReadAsync(0, cancellationToken);
            return (hypervisor, agent, new MachineTimings(processStart, agentReady, context.Time.GetElapsedTime(started)));
        }
        catch (Exception e)
        {
            var failure = await ExplainAsync(e, start.Spec, console);
            if (feed is not null)
                await feed.DisposeAsync();
            feed = null;
            if (agent is not null)
                await agent.DisposeAsync();
            if (hypervisor is not null)
                await hypervisor.DisposeAsync();
            if (failure is null)
                throw;
            throw failure;
        }
        finally
        {
            if (feed is not null)
                await feed.DisposeAsync();
        }
    }

    /// <summary>12 of a-z and 0-9 from 60 random bits: never used twice.</summary>
    private static string NewId() => RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz0123456789", 12);

    private async Task<ProcessIdentity> LaunchAsync(
        MachineStart start, MachineParts parts, ErrorTail errors, CancellationToken cancellationToken)
    {
        var record = parts.Record;
        var disk = MachineDisk.PathOf(parts.Folder, record.Spec);
        var cgroup = context.CgroupOf(record.Id);
        var hasKernel = start.Driver.Capabilities.HasFlag(DriverCapabilities.OwnKernel);
        var taps = new SafeFileHandle?[parts.Cards.Count];
        var making = Task.CompletedTask;
        try
        {
            var restore = start as MachineRestore;
            making = start.IsAwaking ? Task.CompletedTask
                : start.SavedDisk is var (folder, snapshot) ? MachineDisk.RestoreAsync(disk, folder, snapshot, cancellationToken)
                : MakeDiskAsync(disk, record.Spec, cancellationToken);
            var plugging = record.Spec.Network == NetworkMode.Nat ? PlugAsync() : Task.CompletedTask;
            cgroup.Create(start.Driver.MemoryLimit(record.Spec, record.Accelerated));
            cgroup.Favor(starting: true);
            // With a kernel of its own a guest has no more processors than it was given; else it would have all.
            if (!hasKernel)
                cgroup.LimitCpu(record.Spec.Cpus);
            var io = record.Spec.Io ?? options.Io;
            if (io is not null)
                cgroup.LimitIo(io, [.. record.Spec.Layers, parts.Folder, .. record.Spec.Drives.Select(drive => drive.Path)]);
            await (hasKernel ? Task.WhenAll(making, plugging) : plugging);

            var devices = TakePciDevices(parts);
            var plan = new MachinePlan(
                context.Network.HostId, record.Id, record.Spec, start.Boot, parts.Lease, parts.Folder, disk, taps.Length == 0 ? null : taps[0], context.Network.Mtu, restore?.Folder)
            {
                Io = io,
                Bridge = record.Spec.Network == NetworkMode.Nat ? context.Network as GuestBridge : null,
                Connect = process => ConnectAsync(parts, process, cancellationToken),
                Cards = [.. parts.Cards.Select((card, i) => new PlannedCard(card, taps[i]))],
                AgentPath = options.AgentPath,
                PciDevices = [.. devices.Select(loan => loan.Address)],
                PciGroups = [.. devices.Select(loan => loan.IommuGroup).Distinct()],
                DiskReady = making,
            };
            var process = await start.Driver.LaunchAsync(plan, errors, cancellationToken);
            // The state file first: a process that it does not name would only be found by looking at all of them.
            parts.Update(r => r with { Process = process });
            cgroup.Add(process.Id);
            return process;
        }
        finally
        {
            // The hypervisor has its own; with this one closed the tap ends with it.
            foreach (var tap in taps)
                tap?.Dispose();
            // Nothing may be written into the folder after its removal. Whether it failed, the driver was told.
            await making.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        async Task PlugAsync()
        {
            // A container's card is made in its own network, by its driver.
            if (hasKernel)
            {
                for (var i = 0; i < taps.Length; i++)
                    taps[i] = await context.Network.PlugAsync(parts.Cards[i].Port, cancellationToken);
            }

            await context.Network.PublishAsync(parts.Lease, record.Spec.Ports, cancellationToken);
            parts.IsPublished = true;
        }
    }

    /// <summary>For a process with a network of its own; others were plugged in before it.</summary>
    private async Task ConnectAsync(MachineParts parts, ProcessIdentity process, CancellationToken cancellationToken)
    {
        if (parts.Cards.Count > 0)
            await context.Network.ConnectAsync(parts.CableOf(process), cancellationToken);
    }

    private async Task ConnectAsync(IHypervisor hypervisor, ErrorTail errors, MachineStart start, MachineParts parts, CancellationToken cancellationToken)
    {
        try
        {
            _ = await hypervisor.ConnectAsync(cancellationToken);
            if (start is MachineRestore restore)
            {
                await hypervisor.LoadAsync(restore.Folder, cancellationToken);
                // From here on it changes its disk, so that what was saved is not it any more.
                if (start.IsAwaking)
                    parts.Update(r => r with { Phase = MachinePhase.Running, IsSaving = true });
                await hypervisor.ResumeAsync(cancellationToken);
            }
        }
        catch (HypervisorException e)
        {
            var message = await errors.ReadToEndAsync(ErrorLimit, context.Time);
            throw new MachineException(
                message.Length == 0 ? $"Machine '{start.Spec.Name}' did not start: {e.Message}" : $"Machine '{start.Spec.Name}' did not start; the hypervisor says: {message}", e);
        }
    }

    private async Task<AgentConnection> WaitForAgentAsync(
        IHypervisor hypervisor, AgentLink agent, MachineSpec spec, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var timer = context.Time.CreateTimer(_ => limit.Cancel(), null, options.BootTimeout, Timeout.InfiniteTimeSpan);
        var answering = agent.GetAsync(limit.Token);
        if (await Task.WhenAny(answering, hypervisor.Ended) == answering)
        {
            try
            {
                return await answering;
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                throw new MachineException(
                    $"Machine '{spec.Name}' did not boot in {options.BootTimeout.TotalSeconds:0} seconds: its agent does not answer.", e)
                { IsTransient = true };
            }
        }

        await limit.CancelAsync();
        // Observed: its cancellation is of no interest.
        _ = answering.ContinueWith(t => t.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        throw new MachineException($"Machine '{spec.Name}' ended while it booted: {await hypervisor.Ended}");
    }

    private async Task SetUpAsync(AgentConnection agent, MachineStart start, MachineParts parts, Action booted, CancellationToken cancellationToken)
    {
        var card = parts.Cards.Count == 0 ? null : parts.Cards[0];
        var network = card?.Guest;
        var cgroup = context.CgroupOf(parts.Record.Id);
        if (start is MachineBoot boot)
        {
            await TellCardsAsync(agent, parts, cancellationToken);
            await ConfigureAsync(agent, boot, network, cancellationToken);
            cgroup.Favor(starting: false);
            booted();
            await TellNamesAsync(agent, parts, cancellationToken);
            await new MachineSettingUp(boot.Spec, boot.Setup).RunAsync(agent, cancellationToken);
            if (boot.Main is not null)
                await agent.StartMainAsync(boot.Main, cancellationToken);
        }
        else if (start.IsAwaking)
        {
            await agent.ThawAsync(new ThawConfig { UtcNow = context.Time.GetUtcNow(), RandomSeed = RandomNumberGenerator.GetBytes(SeedBytes) }, cancellationToken);
            cgroup.Favor(starting: false);
            await TellNamesAsync(agent, parts, cancellationToken);
        }
        else
        {
            await agent.ThawAsync(
                new ThawConfig
                {
                    UtcNow = context.Time.GetUtcNow(),
                    RandomSeed = RandomNumberGenerator.GetBytes(SeedBytes),
                    Network = network,
                    MacAddress = card?.Port.Lease.Mac,
                    Hostname = start.Spec.Name,
                    Hosts = start.Spec.Hosts,
                    NewIdentity = true,
                },
                cancellationToken);
            cgroup.Favor(starting: false);
            await TellCardsAsync(agent, parts, cancellationToken);
            await TellNamesAsync(agent, parts, cancellationToken);
        }
    }

    /// <summary>The first card is part of the configuration, or of the thaw.</summary>
    private static Task TellCardsAsync(AgentConnection agent, MachineParts parts, CancellationToken cancellationToken) => parts.Cards.Count < 2
        ? Task.CompletedTask
        : agent.SetCardsAsync(
            [.. parts.Cards.Skip(1).Select(card => new GuestCard(card.Port.Lease.Mac, card.Guest))], MachineCards.IsRouter(parts.Record.Spec), cancellationToken);

    /// <summary>Before its main process asks for any.</summary>
    private async Task TellNamesAsync(AgentConnection agent, MachineParts parts, CancellationToken cancellationToken)
    {
        if (context.Names.For(parts.Record, parts.Cards) is { Count: > 0 } names)
            await agent.SetNamesAsync(names, cancellationToken);
    }

    private async Task ConfigureAsync(AgentConnection agent, MachineBoot boot, GuestNetwork? network, CancellationToken cancellationToken)
    {
        var spec = boot.Spec;
        var devices = boot.Driver.Devices(spec);
        await agent.ConfigureAsync(
            new GuestConfig
            {
                Hostname = spec.Name,
                LayerDevices = devices.Layers,
                DiskDevice = devices.Disk,
                Drives = devices.Drives,
                Network = network,
                Hosts = spec.Hosts,
                CaBundle = spec.CaBundle,
                ReadOnlyRoot = spec.ReadOnlyRoot,
                BeforeShutdown = spec.BeforeShutdown,
                UtcNow = context.Time.GetUtcNow(),
                RandomSeed = RandomNumberGenerator.GetBytes(SeedBytes),
            },
            cancellationToken);
    }

    private IReadOnlyList<PciLoan> TakePciDevices(MachineParts parts)
    {
        var (id, spec) = (parts.Record.Id, parts.Record.Spec);
        if (spec.PciDevices.Count + spec.PciKinds.Count == 0)
            return [];
        var loans = context.Pci.Reserve(id, spec);
        // Written down before anything is taken, so that a crash from here on gives it back.
        parts.Update(r => r with { PciLoans = loans });
        context.Pci.Lend(spec.Name, loans, parts.Lease.UserId);
        return loans;
    }

    private static Task MakeDiskAsync(string path, MachineSpec spec, CancellationToken cancellationToken) => spec.DiskPath is null
        ? MachineDisk.CreateAsync(path, spec.DiskBytes, cancellationToken)
        : MachineDisk.OpenPersistentAsync(path, spec.DiskBytes, cancellationToken);

    /// <summary>Null for a cancellation, which is passed on as it is.</summary>
    private static async Task<MachineException?> ExplainAsync(Exception failure, MachineSpec spec, MachineConsole? kept)
    {
        if (failure is OperationCanceledException)
            return null;
        var console = kept is null ? "" : await kept.TailAsync();
        return failure switch
        {
            MachineException { ConsoleTail.Length: 0 } known => new MachineException(known.Reason, console, known.InnerException) { IsTransient = known.IsTransient },
            AgentException => new MachineException($"Machine '{spec.Name}' did not start: {failure.Message}", console, failure),
            SnapshotException => new MachineException($"Machine '{spec.Name}' was not restored: {failure.Message}", failure),
            CommandException or NetworkException or ImageException or IOException or UnauthorizedAccessException =>
                new MachineException($"Machine '{spec.Name}' did not start: {failure.Message}", failure),
            _ => null,
        };
    }
}
