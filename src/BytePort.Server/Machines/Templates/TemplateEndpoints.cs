using BytePort.Server.Accounts;

namespace BytePort.Server.Machines.Templates;

/// <summary>Machine templates of the team: folders that machines are spawned from.</summary>
internal static class TemplateEndpoints
{
    public static void MapTemplates(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("/api/v1/templates").WithTags("templates").RequireAuthorization();
        group.MapGet("", ListAsync).WithName("listTemplates").WithSummary("The team's machine templates, by name");
        group.MapGet("{template}", GetAsync).WithName("getTemplate").WithSummary("One template").Produces<TemplateView>().WithProblems();
        group.MapPut("{template}", PutAsync).WithName("putTemplate")
            .WithSummary("Make an uploaded archive a template, or its next version; what machines keep in data/ stays unless 'replaceData' is true")
            .Produces<TemplateView>().WithProblems();
        group.MapDelete("{template}", RemoveAsync).WithName("removeTemplate").WithSummary("Delete a template with its data; machines that came from it go on")
            .Produces(StatusCodes.Status204NoContent).WithProblems();
        group.MapGet("{template}/archive", ReadAsync).WithName("readTemplate").WithSummary("The template as tar.gz, with what its machines keep in data/")
            .Produces(StatusCodes.Status200OK, contentType: "application/gzip").WithProblems();
    }

    private static async Task<IResult> ListAsync(Caller caller, TemplateStore templates, CancellationToken cancellationToken) =>
        TypedResults.Ok(new TemplateList(await templates.ListAsync(caller.TeamId, cancellationToken)));

    private static Task<IResult> GetAsync(string template, Caller caller, TemplateStore templates, CancellationToken cancellationToken) =>
        MachineEndpoints.AnswerAsync(async () => TypedResults.Ok(await templates.GetAsync(caller.TeamId, template, cancellationToken)));

    private static Task<IResult> PutAsync(string template, PutTemplate body, Caller caller, TemplateStore templates, CancellationToken cancellationToken) =>
        MachineEndpoints.AnswerAsync(async () => TypedResults.Ok(await templates.PutAsync(caller.TeamId, template, body.Upload?.Id ?? Guid.Empty, body.ReplaceData is true, cancellationToken)));

    private static Task<IResult> RemoveAsync(string template, Caller caller, TemplateStore templates, CancellationToken cancellationToken) => MachineEndpoints.AnswerAsync(async () =>
    {
        await templates.RemoveAsync(caller.TeamId, template, cancellationToken);
        return TypedResults.NoContent();
    });

    private static Task<IResult> ReadAsync(string template, Caller caller, TemplateStore templates, CancellationToken cancellationToken) => MachineEndpoints.AnswerAsync(async () =>
    {
        var lease = await templates.TakeAsync(caller.TeamId, template, cancellationToken);
        return TypedResults.Stream(
            async stream =>
            {
                using (lease)
                    await TemplateArchive.WriteAsync(lease, stream, cancellationToken);
            },
            "application/gzip",
            $"{template}.tar.gz");
    });

    internal sealed record TemplateList(IReadOnlyList<TemplateView> Items);

    /// <param name="Upload">An upload that is complete; it is gone afterwards.</param>
    /// <param name="ReplaceData">True puts the archive's data/ in the place of what machines keep, default false.</param>
    internal sealed record PutTemplate(TemplateUpload? Upload, bool? ReplaceData);

    internal sealed record TemplateUpload(Guid Id);
}
