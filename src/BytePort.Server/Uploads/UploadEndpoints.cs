using BytePort.Server.Accounts;
using BytePort.Server.Api;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;

namespace BytePort.Server.Uploads;

internal static class UploadEndpoints
{
    public static void MapUploads(this IEndpointRouteBuilder app)
    {
        app.MapPost("/api/v1/uploads", CreateAsync).WithName("createUpload").WithTags("uploads").RequireAuthorization()
            .WithSummary("A one-time address to which a zip or tar.gz archive is PUT");
        // The token in the address is the authorization: the address can be handed to a program that has no other right.
        app.MapPut("/api/v1/uploads/{id:guid}/{token}", ReceiveAsync).WithName("sendUpload").WithTags("uploads")
            .WithSummary("Send the archive (application/octet-stream, at most 500 MiB)")
            .Produces(StatusCodes.Status204NoContent).ProducesProblem(StatusCodes.Status410Gone).ProducesProblem(StatusCodes.Status413PayloadTooLarge);
    }

    private static async Task<Created<UploadView>> CreateAsync(HttpContext context, Caller caller, UploadStore uploads, CancellationToken cancellationToken)
    {
        var (id, token, expires) = await uploads.CreateAsync(caller.TeamId, cancellationToken);
        var url = $"{context.Request.Scheme}://{context.Request.Host}/api/v1/uploads/{id}/{token}";
        return TypedResults.Created((string?)null, new UploadView(id, url, expires));
    }

    private static async Task<IResult> ReceiveAsync(Guid id, string token, HttpContext context, UploadStore uploads, CancellationToken cancellationToken)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = UploadStore.MaxBytes + 1;
        }

        if (context.Request.ContentLength > UploadStore.MaxBytes)
        {
            return TooLarge();
        }

        return await uploads.ReceiveAsync(id, token, context.Request.Body, cancellationToken) switch
        {
            ReceiveOutcome.Received => TypedResults.NoContent(),
            ReceiveOutcome.TooLarge => TooLarge(),
            _ => Problems.Gone("upload_expired", "This upload address was used already or has expired. Ask for a new one by POST /api/v1/uploads."),
        };
    }

    private static ProblemHttpResult TooLarge()
        => Problems.TooLarge("upload_too_large", "An archive may have at most 500 MiB. Leave out what the build makes itself (.byteportignore).");

    internal sealed record UploadView(Guid Id, string Url, DateTimeOffset ExpiresAt);
}
