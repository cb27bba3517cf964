using BytePort.Server.Accounts;
using BytePort.Server.Api;
using BytePort.Server.Database;
using BytePort.Server.Hosting;
using BytePort.Server.Machines.Templates;
using Microsoft.AspNetCore.Http.HttpResults;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Systems;

namespace BytePort.Server.Machines;

/// <summary>Machines over HTTP: all of the team's can be seen, those by themselves spawned, looked into and ended.</summary>
internal static class MachineEndpoints
{
    private const int MaxGraceSeconds = 600;

    public static void MapMachines(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("/api/v1/machines").WithTags("machines").RequireAuthorization();
        group.MapGet("", ListAsync).WithName("listMachines")
            .WithSummary("The machines that run the team's services and builds, and those by themselves");
        group.MapPost("", SpawnAsync).WithName("spawnMachine")
            .WithSummary("Start a machine by itself; answers when it runs. With 'Accept: text/event-stream' events 'console' meanwhile, and at last 'machine' or 'problem'")
            .Produces<MachineView>(StatusCodes.Status201Created).Produces(StatusCodes.Status204NoContent).WithProblems();
        group.MapGet("drivers", DriversAsync).WithName("listMachineDrivers").WithSummary("What machines can run on here, and why not");
        group.MapGet("systems", SystemsAsync).WithName("listSystems").WithSummary("The catalogue of operating systems, with where each comes from and how it is verified")
            .Produces<SystemList>().WithProblems();
        group.MapPci();
        group.MapGet("{machine}", GetAsync).WithName("getMachine").WithSummary("One machine");
        group.MapPost("{machine}/stop", StopAsync).WithName("stopMachine")
            .WithSummary("SIGTERM, or the stop signal of its image, to the main process; at its end, or after 'grace' seconds (default 30), the machine is removed")
            .Produces(StatusCodes.Status204NoContent).WithProblems();
        group.MapDelete("{machine}", RemoveAsync).WithName("removeMachine").WithSummary("End a machine at once and remove it")
            .Produces(StatusCodes.Status204NoContent).WithProblems();
        group.MapPost("{machine}/pause", PauseAsync).WithName("pauseMachine").WithSummary("Halt its processors; memory stays")
            .Produces<MachineView>().WithProblems();
        group.MapPost("{machine}/resume", ResumeAsync).WithName("resumeMachine").WithSummary("Let it run again, and set its clock")
            .Produces<MachineView>().WithProblems();
        group.MapPost("{machine}/suspend", SuspendAsync).WithName("suspendMachine")
            .WithSummary("Put it to sleep: its memory is saved, and it takes neither memory nor processor until it is woken")
            .Produces<MachineView>().WithProblems();
        group.MapPost("{machine}/wake", WakeAsync).WithName("wakeMachine")
            .WithSummary("Let it go on where it was; if what was saved is damaged, boot it with its disk")
            .Produces<MachineView>().WithProblems();
        group.MapGet("{machine}/stats", StatsAsync).WithName("readMachineStats").WithSummary("What it uses, as its own kernel counts it")
            .Produces<MachineStatsView>().WithProblems();
        group.MapPost("{machine}/sync", SyncAsync).WithName("syncMachine").WithSummary("Take its shared folder back to its template now; it goes on")
            .Produces(StatusCodes.Status204NoContent).WithProblems();
        group.MapMachineConsole();
        group.MapMachineLogs();
        group.MapMachineExec();
    }

    /// <summary>What every question about a machine by itself may be answered with.</summary>
    internal static RouteHandlerBuilder WithProblems(this RouteHandlerBuilder builder) =>
        builder.ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status404NotFound).ProducesProblem(StatusCodes.Status409Conflict);

    /// <summary>Turns a fault into its problem.</summary>
    internal static async Task<IResult> AnswerAsync(Func<Task<IResult>> answer)
    {
        try
        {
            return await answer();
        }
        catch (MachineFaultException e)
        {
            return e.Fault switch
            {
                MachineFault.Invalid => Problems.Invalid("machine_invalid", e.Message),
                MachineFault.NotFound => Problems.Create(StatusCodes.Status404NotFound, "machine_not_found", "Not found", e.Message),
                MachineFault.Forbidden => Problems.Create(StatusCodes.Status403Forbidden, "machine_forbidden", "Not allowed", e.Message),
                MachineFault.Unsupported => Problems.Create(StatusCodes.Status422UnprocessableEntity, "machine_unsupported", "Not possible here", e.Message),
                MachineFault.Exhausted => Problems.Create(StatusCodes.Status429TooManyRequests, "machine_limit", "Too many machines", e.Message),
                MachineFault.WrongState => Problems.Conflict("machine_state", e.Message),
                MachineFault.Unavailable => Problems.Create(StatusCodes.Status503ServiceUnavailable, "machine_unavailable", "Try again", e.Message),
                _ => Problems.Create(StatusCodes.Status500InternalServerError, "machine_failed", "The machine failed", e.Message),
            };
        }
    }

    private static async Task<Ok<MachineList>> ListAsync(Caller caller, PlatformDb db, MachineHost host, CancellationToken cancellationToken) =>
        TypedResults.Ok(new MachineList(await MachineView.ListAsync(caller.TeamId, db, host, cancellationToken)));

    private static Task<IResult> SpawnAsync(
        SpawnMachine body, HttpContext context, Caller caller, MachineService machines, TemplateStore templates, PlatformDb db, ServerOptions options, CancellationToken cancellationToken) => AnswerAsync(async () =>
    {
        var request = await ReadAsync(body, caller, templates, cancellationToken);
        await MachinePolicy.CheckAsync(request, caller, db, options, cancellationToken);
        if (body.DryRun is true)
        {
            await machines.CheckAsync(caller.TeamId, request, cancellationToken);
            return TypedResults.NoContent();
        }

        if (ServerSentEvents.Wanted(context.Request))
            return await MachineConsoleEndpoints.SpawnAsync(context, onConsole => machines.SpawnAsync(caller.TeamId, request, onConsole, cancellationToken), cancellationToken);
        var machine = await machines.SpawnAsync(caller.TeamId, request, cancellationToken);
        return TypedResults.Created($"/api/v1/machines/{machine.Id}", MachineView.Of(machine));
    });

    private static Task<IResult> SystemsAsync(Caller caller, SystemStore systems) => AnswerAsync(() =>
    {
        _ = caller;
        try
        {
            return Task.FromResult<IResult>(TypedResults.Ok(new SystemList(systems.List())));
        }
        catch (ImageException e)
        {
            throw new MachineFaultException(MachineFault.Failed, e.Message, e);
        }
    });

    private static async Task<MachineRequest> ReadAsync(SpawnMachine body, Caller caller, TemplateStore templates, CancellationToken cancellationToken)
    {
        if (body.Template is null)
            return body.ToRequest(null);
        using var template = await templates.TakeAsync(caller.TeamId, body.Template, cancellationToken);
        return body.ToRequest(template.Content.File);
    }

    private static Task<IResult> SyncAsync(string machine, Caller caller, MachineService machines, CancellationToken cancellationToken) => AnswerAsync(async () =>
    {
        await machines.SyncAsync(caller.TeamId, machine, cancellationToken);
        return TypedResults.NoContent();
    });

    private static async Task<Ok<DriverList>> DriversAsync(Caller caller, MachineHost host, CancellationToken cancellationToken)
    {
        _ = caller;
        var drivers = await host.GetDriversAsync(cancellationToken);
        return TypedResults.Ok(new DriverList([.. drivers.Select(driver => new DriverView(driver.Name, driver.Usable, driver.Accelerated, driver.Reason))]));
    }

    private static async Task<Results<Ok<MachineView>, ProblemHttpResult>> GetAsync(
        string machine, Caller caller, PlatformDb db, MachineHost host, CancellationToken cancellationToken) =>
        (await MachineView.ListAsync(caller.TeamId, db, host, cancellationToken)).FirstOrDefault(view => view.Id == machine) is { } found
            ? TypedResults.Ok(found)
            : Problems.NotFound("machine", machine);

    private static Task<IResult> StopAsync(string machine, int? grace, Caller caller, MachineService machines, CancellationToken cancellationToken) => AnswerAsync(async () =>
    {
        var wait = grace is { } seconds ? TimeSpan.FromSeconds(Math.Clamp(seconds, 0, MaxGraceSeconds)) : MachineService.DefaultGrace;
        _ = await machines.StopAsync(caller.TeamId, machine, wait, cancellationToken);
        return TypedResults.NoContent();
    });

    private static Task<IResult> RemoveAsync(string machine, Caller caller, MachineService machines, CancellationToken cancellationToken) => AnswerAsync(async () =>
    {
        _ = await machines.StopAsync(caller.TeamId, machine, TimeSpan.Zero, cancellationToken);
        return TypedResults.NoContent();
    });

    private static Task<IResult> PauseAsync(string machine, Caller caller, MachineService machines, CancellationToken cancellationToken) =>
        AnswerAsync(async () => TypedResults.Ok(MachineView.Of(await machines.PauseAsync(caller.TeamId, machine, cancellationToken))));

    private static Task<IResult> ResumeAsync(string machine, Caller caller, MachineService machines, CancellationToken cancellationToken) =>
        AnswerAsync(async () => TypedResults.Ok(MachineView.Of(await machines.ResumeAsync(caller.TeamId, machine, cancellationToken))));

    private static Task<IResult> SuspendAsync(string machine, Caller caller, MachineService machines, CancellationToken cancellationToken) =>
        AnswerAsync(async () => TypedResults.Ok(MachineView.Of(await machines.SuspendAsync(caller.TeamId, machine, cancellationToken))));

    private static Task<IResult> WakeAsync(string machine, Caller caller, MachineService machines, CancellationToken cancellationToken) =>
        AnswerAsync(async () => TypedResults.Ok(MachineView.Of(await machines.WakeAsync(caller.TeamId, machine, cancellationToken))));

    private static Task<IResult> StatsAsync(string machine, Caller caller, MachineService machines, CancellationToken cancellationToken) => AnswerAsync(async () =>
    {
        var stats = await machines.ReadStatsAsync(caller.TeamId, machine, cancellationToken);
        return TypedResults.Ok(new MachineStatsView(
            stats.CpuTime.TotalSeconds, stats.Uptime.TotalSeconds, stats.MemoryUsed, stats.MemoryTotal, stats.DiskUsed, stats.DiskTotal, stats.NetworkReceived, stats.NetworkSent));
    });

    internal sealed record MachineList(IReadOnlyList<MachineView> Items);

    internal sealed record SystemList(IReadOnlyList<SystemInfo> Items);

    internal sealed record DriverList(IReadOnlyList<DriverView> Items);

    internal sealed record DriverView(string Name, bool Usable, bool Accelerated, string Reason);

    /// <summary>Bytes, but for the seconds.</summary>
    internal sealed record MachineStatsView(
        double CpuSeconds,
        double UptimeSeconds,
        long MemoryUsed,
        long MemoryTotal,
        long DiskUsed,
        long DiskTotal,
        long NetworkReceived,
        long NetworkSent);
}
