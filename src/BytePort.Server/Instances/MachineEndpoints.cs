using BytePort.Server.Accounts;
using BytePort.Server.Database;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using NanoVms.Machines;

namespace BytePort.Server.Instances;

internal static class MachineEndpoints
{
    public static void MapMachines(this IEndpointRouteBuilder app)
        => app.MapGet("/api/v1/machines", ListAsync).WithName("listMachines").WithTags("machines").RequireAuthorization()
            .WithSummary("The machines that run the team's services and builds");

    private static async Task<Ok<MachineList>> ListAsync(Caller caller, PlatformDb db, MachineHost host, CancellationToken cancellationToken)
    {
        var team = caller.TeamId.ToString("N");
        var rows = await (
            from i in db.Instances
            join p in db.Projects on i.ProjectId equals p.Id
            join d in db.Deployments on i.DeploymentId equals d.Id
            where p.TeamId == caller.TeamId
            select new { i.Id, i.Service, i.Restarts, i.State, Project = p.Name, d.Number }).ToDictionaryAsync(i => i.Id.ToString(), cancellationToken);
        var items = new List<MachineView>();
        foreach (var machine in host.Machines.OrderBy(m => m.StartedAt))
        {
            var row = rows.GetValueOrDefault(machine.Spec.Labels.GetValueOrDefault(InstanceRuntime.InstanceLabel) ?? "");
            if (row is null && machine.Spec.Owner != team)
            {
                continue;
            }

            items.Add(new MachineView(
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
                row?.Restarts ?? 0));
        }

        return TypedResults.Ok(new MachineList(items));
    }

    internal sealed record MachineList(IReadOnlyList<MachineView> Items);

    /// <param name="Instance">State of the instance that the machine is; null for a build.</param>
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
        int Restarts);
}
