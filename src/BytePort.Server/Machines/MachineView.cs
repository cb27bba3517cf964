using BytePort.Manifest.Hac;
using BytePort.Server.Database;
using BytePort.Server.Instances;
using Microsoft.EntityFrameworkCore;
using NanoVms.Machines;

namespace BytePort.Server.Machines;

/// <param name="Project">The project that the machine serves; null for a build and for a machine by itself.</param>
/// <param name="Instance">State of the instance that the machine is; null for a build and for a machine by itself.</param>
/// <param name="Image">What a machine by itself was spawned from; null for others.</param>
/// <param name="Ports">TCP ports of the host, each with the guest's port that it leads to.</param>
/// <param name="Template">The team's template that a machine by itself came from.</param>
/// <param name="NestedVirtualization">The guest can run machines itself.</param>
/// <param name="Limits">The most that it may move in a second, where somebody asked; else it is as the platform allows.</param>
/// <param name="Reason">Why it failed.</param>
/// <param name="BootedInstead">What was damaged of that which it was to go on from; it was booted with its disk instead. Null for others.</param>
internal sealed record MachineView(
    string Id,
    string Name,
    string? Project,
    string? Service,
    int? Deployment,
    string State,
    string? Instance,
    string Driver,
    bool Accelerated,
    string? Address,
    int Cpus,
    double? CpuLimit,
    int MemoryMiB,
    DateTimeOffset StartedAt,
    int Restarts,
    string? Image,
    string? Description,
    IReadOnlyDictionary<int, int> Ports,
    string? Template,
    bool NestedVirtualization,
    MachineLimits Limits,
    string? Reason,
    string? BootedInstead)
{
    /// <summary>A machine by itself.</summary>
    public static MachineView Of(Machine machine) => Of(machine, null);

    /// <summary>The team's machines, oldest first: those that run its services and builds, and those by themselves.</summary>
    public static async Task<IReadOnlyList<MachineView>> ListAsync(Guid team, PlatformDb db, MachineHost host, CancellationToken cancellationToken)
    {
        var rows = await (
            from i in db.Instances
            join p in db.Projects on i.ProjectId equals p.Id
            join d in db.Deployments on i.DeploymentId equals d.Id
            where p.TeamId == team
            select new Row(i.Id, i.Service, i.Restarts, i.State, p.Name, d.Number)).ToDictionaryAsync(row => row.Id.ToString(), cancellationToken);
        return
        [
            .. from machine in host.Machines
               let row = rows.GetValueOrDefault(machine.Spec.Labels.GetValueOrDefault(InstanceRuntime.InstanceLabel) ?? "")
               where row is not null || machine.Spec.Owner == team.ToString("N")
               orderby machine.StartedAt
               select Of(machine, row),
        ];
    }

    private static MachineView Of(Machine machine, Row? row)
    {
        var request = MachineService.IsByItself(machine) ? MachineService.RequestOf(machine) : null;
        return new(
            machine.Id,
            machine.Spec.Name,
            row?.Project,
            row?.Service,
            row?.Number,
            machine.State.ToString().ToLowerInvariant(),
            row?.State.ToString().ToLowerInvariant(),
            machine.Driver,
            machine.Accelerated,
            machine.Address?.ToString(),
            machine.Spec.Cpus,
            machine.Spec.CpuLimit,
            machine.Spec.MemoryMiB,
            machine.StartedAt,
            row?.Restarts ?? 0,
            request?.Image,
            request?.Description,
            request?.Ports ?? new Dictionary<int, int>(),
            request?.Template,
            machine.Spec.NestedVirtualization,
            SpecLimits.Of(machine.Spec),
            machine.FailureReason,
            machine.BootedInstead);
    }

    private sealed record Row(Guid Id, string Service, int Restarts, InstanceState State, string Project, int Number);
}
