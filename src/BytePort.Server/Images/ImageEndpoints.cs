using System.Threading.Channels;
using BytePort.Server.Accounts;
using BytePort.Server.Api;
using BytePort.Server.Database;
using Microsoft.AspNetCore.Http.HttpResults;
using NanoVms.Images;
using NanoVms.Images.Collection;

namespace BytePort.Server.Images;

/// <summary>Images over HTTP. They are the computer's: everybody signed in may see and fetch them, administrators change them.</summary>
internal static class ImageEndpoints
{
    private const int MaxAge = 3650;
    private const int MaxLines = 100;

    public static void MapImages(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("/api/v1/images").WithTags("images").RequireAuthorization();
        group.MapGet("", ListAsync).WithName("listImages").WithSummary("Stacks, images of registries, kernels, initramfs and systems of the catalogue, with what needs them");
        group.MapPost("pull", PullAsync).WithName("pullImage")
            .WithSummary("Fetch an image of a registry; with 'Accept: text/event-stream' live, as events 'progress', then 'image' or 'error'")
            .Produces<ImageView>().WithProblems();
        group.MapPost("build", BuildAsync).WithName("buildImage")
            .WithSummary("Make a stack, of a recipe that is there or of one in the request, or the small guest kernel ('kernel', some minutes); events as of a fetch")
            .Produces<ImageView>().WithProblems().RequireAdministrator();
        group.MapDelete("", RemoveAsync).WithName("removeImage").WithSummary("Remove a stack or an image of a registry, unless something needs it, or the small guest kernel ('kernel')")
            .Produces<CollectionView>().WithProblems().RequireAdministrator();
        group.MapPost("pins", PinAsync).WithName("pinImage").WithSummary("Keep an image whoever needs it")
            .Produces<PinnedView>().WithProblems().RequireAdministrator();
        group.MapDelete("pins", UnpinAsync).WithName("unpinImage").WithSummary("Let an image go when nothing needs it")
            .Produces(StatusCodes.Status204NoContent).WithProblems().RequireAdministrator();
        group.MapPost("gc", CollectAsync).WithName("collectImages").WithSummary("Remove what nothing needs and nothing has used for a while")
            .Produces<CollectionView>().WithProblems().RequireAdministrator();
    }

    private static RouteHandlerBuilder WithProblems(this RouteHandlerBuilder builder) =>
        builder.ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status404NotFound).ProducesProblem(StatusCodes.Status409Conflict);

    private static Task<IResult> ListAsync(Caller caller, PlatformDb db, ImageService images, CancellationToken cancellationToken) => AnswerAsync(async () =>
        TypedResults.Ok(await images.ListAsync(caller, await db.IsAdministratorAsync(caller, cancellationToken), cancellationToken)));

    private static async Task<IResult> PullAsync(
        PullImage body, HttpContext context, Caller caller, PlatformDb db, ImageService images, CancellationToken cancellationToken)
    {
        var isAdministrator = await db.IsAdministratorAsync(caller, cancellationToken);
        return body.Pin is true && !isAdministrator
            ? Problems.Create(StatusCodes.Status403Forbidden, "administrator_required", "Not allowed", "Only an administrator may pin an image. Fetch it without.")
            : await FollowAsync(context, progress => images.PullAsync(body, caller, isAdministrator, progress, cancellationToken), cancellationToken);
    }

    private static Task<IResult> BuildAsync(BuildImage body, HttpContext context, Caller caller, ImageService images, CancellationToken cancellationToken) =>
        FollowAsync(context, progress => images.BuildAsync(body, caller, progress, cancellationToken), cancellationToken);

    private static Task<IResult> RemoveAsync(string? reference, Caller caller, ImageService images, CancellationToken cancellationToken) =>
        AnswerAsync(async () => TypedResults.Ok(await images.RemoveAsync(Required(reference), caller, cancellationToken)));

    private static Task<IResult> PinAsync(PinImage body, Caller caller, ImageService images, CancellationToken cancellationToken) =>
        AnswerAsync(async () => TypedResults.Ok(await images.PinAsync(Required(body.Reference), caller, cancellationToken)));

    private static Task<IResult> UnpinAsync(string? reference, Caller caller, ImageService images, CancellationToken cancellationToken) => AnswerAsync(async () =>
    {
        await images.UnpinAsync(Required(reference), caller, cancellationToken);
        return TypedResults.NoContent();
    });

    private static Task<IResult> CollectAsync(CollectImages body, ImageService images, CancellationToken cancellationToken) => AnswerAsync(async () =>
    {
        var age = body.OlderThanSeconds is { } seconds ? TimeSpan.FromSeconds(Math.Clamp(seconds, 0, MaxAge * 86400L)) : new CollectionOptions().OlderThan;
        return TypedResults.Ok(await images.CollectAsync(age, body.DryRun is true, cancellationToken));
    });

    /// <summary>Waits for work and answers with what it made: at once for who wants events, which then tell what it does. Who leaves cancels it.</summary>
    private static async Task<IResult> FollowAsync(HttpContext context, Func<IProgress<string>?, Task<ImageView>> work, CancellationToken cancellationToken)
    {
        if (!ServerSentEvents.Wanted(context.Request))
            return await AnswerAsync(async () => TypedResults.Ok(await work(null)));
        var lines = Channel.CreateBounded<string>(new BoundedChannelOptions(MaxLines) { FullMode = BoundedChannelFullMode.DropOldest });
        var events = await ServerSentEvents.StartAsync(context);
        var running = CompleteAsync(work(new Lines(lines.Writer)), lines.Writer);
        try
        {
            while (await NextAsync(lines.Reader, events, cancellationToken) is { } line)
            {
                await events.WriteAsync("progress", new ProgressView(line), null, cancellationToken);
                await events.FlushAsync(cancellationToken);
            }
        }
        finally
        {
            // Whatever became of the connection, nothing goes on unseen.
            await running.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        try
        {
            await events.WriteAsync("image", await running, null, cancellationToken);
        }
        catch (ImageException e)
        {
            await events.WriteAsync("error", ProblemOf(e).ProblemDetails, null, cancellationToken);
        }

        await events.FlushAsync(cancellationToken);
        return TypedResults.Empty;
    }

    private static async Task<ImageView> CompleteAsync(Task<ImageView> work, ChannelWriter<string> lines)
    {
        try
        {
            return await work;
        }
        finally
        {
            lines.Complete();
        }
    }

    /// <summary>Null at the end.</summary>
    private static async Task<string?> NextAsync(ChannelReader<string> lines, ServerSentEvents events, CancellationToken cancellationToken)
    {
        var more = lines.WaitToReadAsync(cancellationToken).AsTask();
        while (true)
        {
            try
            {
                return await more.WaitAsync(ServerSentEvents.KeepAlive, cancellationToken) && lines.TryRead(out var line) ? line : null;
            }
            catch (TimeoutException)
            {
                await events.KeepAliveAsync(cancellationToken);
                await events.FlushAsync(cancellationToken);
            }
        }
    }

    private static string Required(string? reference) => string.IsNullOrEmpty(reference)
        ? throw new ImageException("'reference' is missing: which image, as listImages names it.") { Fault = ImageFault.Invalid }
        : reference;

    private static async Task<IResult> AnswerAsync(Func<Task<IResult>> answer)
    {
        try
        {
            return await answer();
        }
        catch (ImageException e)
        {
            return ProblemOf(e);
        }
    }

    private static ProblemHttpResult ProblemOf(ImageException e) => e.Fault switch
    {
        ImageFault.NotFound => Problems.Create(StatusCodes.Status404NotFound, "image_not_found", "Not found", e.Message),
        ImageFault.Invalid => Problems.Invalid("image_invalid", e.Message),
        ImageFault.InUse => Problems.Conflict("image_in_use", e.Message),
        _ when e.IsTransient => Problems.Create(StatusCodes.Status503ServiceUnavailable, "image_unavailable", "Try again", e.Message),
        _ => Problems.Create(StatusCodes.Status422UnprocessableEntity, "image_failed", "The image cannot be had", e.Message),
    };

    /// <summary>Passes on in the caller's thread: the order of lines is part of what they say.</summary>
    private sealed class Lines(ChannelWriter<string> lines) : IProgress<string>
    {
        public void Report(string value) => _ = lines.TryWrite(value);
    }
}
