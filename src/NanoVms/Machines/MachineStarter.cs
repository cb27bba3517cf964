using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using NanoVms.Agent;
using NanoVms.Commands;
using NanoVms.Drivers.Qemu;
using NanoVms.Images;
using NanoVms.Network;

namespace NanoVms.Machines;

/// <summary>Brings one machine up, or leaves nothing of it.</summary>
/// <remarks>
/// Steps: 1 address, 2 folder with state file, 3 disk, tap with rules, and control group, 4 process, 5 agent, 6 configuration,
/// 7 main process, 8 state file says running. Whatever fails or is canceled, all is undone; after a crash the next host does that.
/// </remarks>
internal sealed class MachineStarter(MachineContext context, MachineHostOptions options, QemuDriver driver)
{
    private const int SeedBytes = 256;
    private static readonly TimeSpan ErrorLimit = TimeSpan.FromSeconds(1);

    /// <summary>Returns the running machine's parts; the caller follows it.</summary>
    /// <exception cref="MachineException">It did not come up; nothing of it is left.</exception>
    public async Task<(MachineParts Parts, QemuProcess Hypervisor, AgentLink Agent)> StartAsync(
        MachineSpec spec, ProcessSpec? main, BootFiles boot, CancellationToken cancellationToken)
    {
        var started = context.Time.GetTimestamp();
        var kvm = await driver.ProbeAsync(cancellationToken);

        // 1
        var place = context.Bridge.Pool.Take()
            ?? throw new MachineException($"No address is free for machine '{spec.Name}': all of {context.Bridge.Prefix} are in use.") { IsTransient = true };
        var parts = new MachineParts(context, new MachineRecord
        {
            Id = NewId(),
            Spec = spec,
            Driver = QemuDriver.Name,
            Accelerated = kvm.IsUsable,
            Place = place,
            HasMain = main is not null,
            StartedAt = context.Time.GetUtcNow(),
        });
        QemuProcess? hypervisor = null;
        AgentLink? agent = null;
        try
        {
            // 2
            parts.Create();
            // 3 and 4
            using var errors = new ErrorTail();
            hypervisor = new QemuProcess(parts.Folder, await LaunchAsync(parts, boot, kvm, errors, cancellationToken), context.Time);
            await ConnectAsync(hypervisor, errors, spec, cancellationToken);
            var processStart = context.Time.GetElapsedTime(started);

            // 5
            agent = new AgentLink(parts.Record.Id, parts.Folder, context.Logger, context.Time);
            var connection = await WaitForAgentAsync(hypervisor, agent, spec, cancellationToken);
            var agentReady = context.Time.GetElapsedTime(started);

            // 6 and 7
            await SetUpAsync(connection, parts, main, cancellationToken);
            var mainStarted = context.Time.GetElapsedTime(started);

            // 8
            parts.Update(r => r with
            {
                Phase = MachinePhase.Running,
                Timings = new MachineTimings(processStart, agentReady, mainStarted),
                BurstEndsAt = context.Time.GetUtcNow() + spec.BootBurst,
            });
            return (parts, hypervisor, agent);
        }
        catch (Exception e)
        {
            var failure = await ExplainAsync(e, spec, hypervisor);
            if (agent is not null)
                await agent.DisposeAsync();
            if (hypervisor is not null)
                await hypervisor.DisposeAsync();
            await parts.RemoveAsync();
            if (failure is null)
                throw;
            throw failure;
        }
    }

    /// <summary>12 of a-z and 0-9 from 60 random bits: never used twice.</summary>
    private static string NewId() => RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz0123456789", 12);

    private async Task<ProcessIdentity> LaunchAsync(
        MachineParts parts, BootFiles boot, KvmAnswer kvm, ErrorTail errors, CancellationToken cancellationToken)
    {
        var record = parts.Record;
        var disk = Path.Combine(parts.Folder, MachineDisk.FileName);
        var cgroup = context.CgroupOf(record.Id);
        SafeFileHandle? tap = null;
        try
        {
            var making = MachineDisk.CreateAsync(disk, record.Spec.DiskBytes, cancellationToken);
            var plugging = record.Spec.Network == NetworkMode.Nat ? PlugAsync() : Task.CompletedTask;
            cgroup.Create(QemuDriver.MemoryLimit(record.Spec, kvm.IsUsable));
            await Task.WhenAll(making, plugging);

            var plan = new QemuPlan(
                context.Bridge.HostId, record.Id, record.Spec, boot, parts.Lease, parts.Folder, disk, tap, context.Bridge.Mtu);
            var process = QemuDriver.Launch(plan, kvm, errors);
            // The state file first: a process that it does not name would only be found by looking at all of them.
            parts.Update(r => r with { Process = process });
            cgroup.Add(process.Id);
            return process;
        }
        finally
        {
            // The hypervisor has its own; with this one closed the tap ends with it.
            tap?.Dispose();
        }

        async Task PlugAsync() => tap = await context.Bridge.PlugAsync(parts.Lease, cancellationToken);
    }

    private async Task ConnectAsync(QemuProcess hypervisor, ErrorTail errors, MachineSpec spec, CancellationToken cancellationToken)
    {
        try
        {
            _ = await hypervisor.ConnectAsync(cancellationToken);
        }
        catch (QmpException e)
        {
            var message = await errors.ReadToEndAsync(ErrorLimit, context.Time);
            throw new MachineException(
                message.Length == 0 ? $"Machine '{spec.Name}' did not start: {e.Message}" : $"Machine '{spec.Name}' did not start; QEMU says: {message}", e);
        }
    }

    private async Task<AgentConnection> WaitForAgentAsync(
        QemuProcess hypervisor, AgentLink agent, MachineSpec spec, CancellationToken cancellationToken)
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

    private async Task SetUpAsync(AgentConnection agent, MachineParts parts, ProcessSpec? main, CancellationToken cancellationToken)
    {
        var spec = parts.Record.Spec;
        var (layers, disk, drives) = QemuDriver.Devices(spec);
        var bridge = context.Bridge;
        await agent.ConfigureAsync(
            new GuestConfig
            {
                Hostname = spec.Name,
                LayerDevices = layers,
                DiskDevice = disk,
                Drives = drives,
                Network = spec.Network == NetworkMode.None
                    ? null
                    : new GuestNetwork(parts.Lease.Address, bridge.Prefix.Length, bridge.Prefix.At(1), bridge.Prefix.At(1), bridge.Mtu),
                Hosts = spec.Hosts,
                CaBundle = spec.CaBundle,
                UtcNow = context.Time.GetUtcNow(),
                RandomSeed = RandomNumberGenerator.GetBytes(SeedBytes),
            },
            cancellationToken);
        if (main is not null)
            await agent.StartMainAsync(main, cancellationToken);
    }

    /// <summary>Null for a cancellation, which is passed on as it is.</summary>
    private static async Task<MachineException?> ExplainAsync(Exception failure, MachineSpec spec, QemuProcess? hypervisor)
    {
        if (failure is OperationCanceledException)
            return null;
        var console = hypervisor is null ? "" : await hypervisor.TakeConsoleAsync(CancellationToken.None);
        return failure switch
        {
            MachineException { ConsoleTail.Length: 0 } known => new MachineException(known.Reason, console, known.InnerException) { IsTransient = known.IsTransient },
            AgentException => new MachineException($"Machine '{spec.Name}' did not start: {failure.Message}", console, failure),
            CommandException or NetworkException or ImageException or IOException or UnauthorizedAccessException =>
                new MachineException($"Machine '{spec.Name}' did not start: {failure.Message}", failure),
            _ => null,
        };
    }
}
