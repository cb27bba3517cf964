using BytePort.Server.Accounts;

namespace BytePort.Server.Machines.Networks;

/// <summary>Private networks of a team over HTTP.</summary>
internal static class NetworkEndpoints
{
    public static void MapNetworks(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("/api/v1/networks").WithTags("networks").RequireAuthorization();
        group.MapGet("", (Caller caller, NetworkService networks) => TypedResults.Ok(new NetworkList(networks.List(caller.TeamId))))
            .WithName("listNetworks").WithSummary("The team's private networks, by name");
        group.MapPost("", CreateAsync).WithName("createNetwork").WithSummary("Make a private network, which machines by themselves can have cards in")
            .Produces<NetworkView>(StatusCodes.Status201Created).WithProblems();
        group.MapGet("{network}", GetAsync).WithName("getNetwork").WithSummary("One private network").Produces<NetworkView>().WithProblems();
        group.MapDelete("{network}", RemoveAsync).WithName("removeNetwork").WithSummary("Remove a private network that no machine is in")
            .Produces(StatusCodes.Status204NoContent).WithProblems();
    }

    private static Task<IResult> CreateAsync(NewNetwork body, Caller caller, NetworkService networks, CancellationToken cancellationToken) => MachineEndpoints.AnswerAsync(async () =>
    {
        var network = await networks.CreateAsync(caller.TeamId, body.Name ?? "", cancellationToken);
        return TypedResults.Created($"/api/v1/networks/{network.Name}", network);
    });

    private static Task<IResult> GetAsync(string network, Caller caller, NetworkService networks) =>
        MachineEndpoints.AnswerAsync(() => Task.FromResult<IResult>(TypedResults.Ok(networks.Get(caller.TeamId, network))));

    private static Task<IResult> RemoveAsync(string network, Caller caller, NetworkService networks, CancellationToken cancellationToken) => MachineEndpoints.AnswerAsync(async () =>
    {
        await networks.RemoveAsync(caller.TeamId, network, cancellationToken);
        return TypedResults.NoContent();
    });

    internal sealed record NetworkList(IReadOnlyList<NetworkView> Items);
}
