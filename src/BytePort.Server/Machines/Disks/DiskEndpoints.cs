using BytePort.Server.Accounts;

namespace BytePort.Server.Machines.Disks;

/// <summary>Disks that stay when their machines go.</summary>
internal static class DiskEndpoints
{
    public static void MapDisks(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("/api/v1/disks").WithTags("disks").RequireAuthorization();
        group.MapGet("", (Caller caller, DiskStore disks) => TypedResults.Ok(new DiskList(disks.List(caller.TeamId))))
            .WithName("listDisks").WithSummary("The disks of the team's persistent machines, by name");
        group.MapDelete("{disk}", RemoveAsync).WithName("removeDisk").WithSummary("Delete a disk that no machine has, with all that is on it")
            .Produces(StatusCodes.Status204NoContent).WithProblems();
    }

    private static Task<IResult> RemoveAsync(string disk, Caller caller, DiskStore disks) => MachineEndpoints.AnswerAsync(() =>
    {
        disks.Remove(caller.TeamId, disk);
        return Task.FromResult<IResult>(TypedResults.NoContent());
    });

    internal sealed record DiskList(IReadOnlyList<DiskView> Items);
}
