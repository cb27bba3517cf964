using BytePort.Server.Accounts;

namespace BytePort.Server.Machines.Snapshots;

/// <summary>Machines by themselves saved, and started again from what was saved.</summary>
internal static class SnapshotEndpoints
{
    public static void MapSnapshots(this IEndpointRouteBuilder app)
    {
        app.MapPost("/api/v1/machines/{machine}/snapshots", TakeAsync).WithTags("snapshots").RequireAuthorization().WithName("takeSnapshot")
            .WithSummary("Save a machine: memory, devices and disk; it goes on. With 'parent' only what differs from that snapshot is kept").Produces<SnapshotView>(StatusCodes.Status201Created).WithProblems();
        var group = app.MapGroup("/api/v1/snapshots").WithTags("snapshots").RequireAuthorization();
        group.MapGet("", (Caller caller, SnapshotService snapshots) => TypedResults.Ok(new SnapshotList(snapshots.List(caller.TeamId))))
            .WithName("listSnapshots").WithSummary("The team's snapshots, oldest first");
        group.MapGet("{snapshot}", GetAsync).WithName("getSnapshot").WithSummary("One snapshot").Produces<SnapshotView>().WithProblems();
        group.MapDelete("{snapshot}", RemoveAsync).WithName("removeSnapshot").WithSummary("Delete a snapshot; machines that came from it stay")
            .Produces(StatusCodes.Status204NoContent).WithProblems();
        group.MapPost("{snapshot}/restore", RestoreAsync).WithName("restoreSnapshot")
            .WithSummary("Start machines from a snapshot, each with its own address, clock and randomness; all of them or none")
            .Produces<RestoredList>(StatusCodes.Status201Created).WithProblems();
    }

    private static Task<IResult> TakeAsync(string machine, string? parent, Caller caller, SnapshotService snapshots, CancellationToken cancellationToken) =>
        MachineEndpoints.AnswerAsync(async () =>
        {
            var snapshot = await snapshots.TakeAsync(caller.TeamId, machine, parent, cancellationToken);
            return TypedResults.Created($"/api/v1/snapshots/{snapshot.Id}", snapshot);
        });

    private static Task<IResult> GetAsync(string snapshot, Caller caller, SnapshotService snapshots) =>
        MachineEndpoints.AnswerAsync(() => Task.FromResult<IResult>(TypedResults.Ok(snapshots.Get(caller.TeamId, snapshot))));

    private static Task<IResult> RemoveAsync(string snapshot, Caller caller, SnapshotService snapshots, CancellationToken cancellationToken) =>
        MachineEndpoints.AnswerAsync(async () =>
        {
            await snapshots.RemoveAsync(caller.TeamId, snapshot, cancellationToken);
            return TypedResults.NoContent();
        });

    private static Task<IResult> RestoreAsync(string snapshot, RestoreSnapshot body, Caller caller, SnapshotService snapshots, CancellationToken cancellationToken) =>
        MachineEndpoints.AnswerAsync(async () =>
        {
            var restored = await snapshots.RestoreAsync(caller.TeamId, snapshot, body.Name, body.Count ?? 1, cancellationToken);
            return TypedResults.Created((string?)null, new RestoredList([.. restored.Select(MachineView.Of)]));
        });

    internal sealed record SnapshotList(IReadOnlyList<SnapshotView> Items);

    /// <param name="Name">Of the machines; with more than one each gets a number behind it. The saved machine's when left out.</param>
    /// <param name="Count">How many, 1 to 20, default 1.</param>
    internal sealed record RestoreSnapshot(string? Name, int? Count);

    internal sealed record RestoredList(IReadOnlyList<MachineView> Items);
}
