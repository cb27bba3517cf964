using System.Globalization;
using BytePort.Server.Accounts;
using Microsoft.AspNetCore.Authentication;

namespace BytePort.Server.Grpc;

/// <summary>What happens to each call around its method (gRPC over HTTP/2, PROTOCOL-HTTP2.md).</summary>
/// <remarks>
/// 1. Refuse what is no gRPC. 2. Say what this end understands. 3. Read the deadline: from now on it and the caller's leaving
/// cancel the call. 4. Know the caller. 5. Let the method answer. 6. Say how it ended, in trailers.
/// </remarks>
internal sealed class GrpcPipeline(TimeProvider time, ILogger<GrpcPipeline> logger)
{
    private const string ContentType = "application/grpc";

    public async Task AnswerAsync(HttpContext context, GrpcMethod? method)
    {
        // 1.
        if (!HttpProtocol.IsHttp2(context.Request.Protocol) || !HttpMethods.IsPost(context.Request.Method) || !IsGrpc(context.Request.ContentType))
        {
            context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            await context.Response.WriteAsync($"This address speaks gRPC: POST over HTTP/2 with the content type {ContentType}.\n", context.RequestAborted);
            return;
        }

        // 2.
        context.Response.ContentType = ContentType;
        context.Response.Headers["grpc-accept-encoding"] = GrpcMessages.Accepted;
        var (status, message) = await RunAsync(context, method);
        if (context.RequestAborted.IsCancellationRequested)
            return;

        // 6.
        context.Response.AppendTrailer("grpc-status", ((int)status).ToString(CultureInfo.InvariantCulture));
        if (message.Length > 0)
            context.Response.AppendTrailer("grpc-message", GrpcMetadata.EncodeMessage(message));
    }

    private async Task<(GrpcStatusCode Status, string Message)> RunAsync(HttpContext context, GrpcMethod? method)
    {
        // 3.
        var timeout = context.Request.Headers["grpc-timeout"].ToString();
        TimeSpan? wait = null;
        if (timeout.Length > 0)
        {
            if (!GrpcTimeout.TryParse(timeout, out var parsed))
                return (GrpcStatusCode.InvalidArgument, $"grpc-timeout '{timeout}' is not up to eight digits and a unit of H M S m u n.");
            wait = parsed;
        }

        using var deadline = new CancellationTokenSource(wait ?? Timeout.InfiniteTimeSpan, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, context.RequestAborted);
        try
        {
            if (method is null)
                return (GrpcStatusCode.Unimplemented, $"There is no method {context.Request.Path} here.");
            // 4.
            var ticket = await context.AuthenticateAsync();
            if (!ticket.Succeeded)
                return (GrpcStatusCode.Unauthenticated, "Send the metadata 'authorization: Bearer TOKEN' with a valid token; 'byteport login' keeps one.");
            // 5.
            context.User = ticket.Principal;
            var caller = await Caller.BindAsync(context);
            await method.AnswerAsync(context, new GrpcCall(context, caller!, time.GetUtcNow() + wait), either.Token);
            return (GrpcStatusCode.Ok, "");
        }
        catch (GrpcException e)
        {
            return (e.Status, e.Message);
        }
        catch (Exception e) when (deadline.IsCancellationRequested && IsCancellation(e))
        {
            return (GrpcStatusCode.DeadlineExceeded, $"The call did not end in {timeout}.");
        }
        catch (Exception e) when (context.RequestAborted.IsCancellationRequested && IsCancellation(e))
        {
            return (GrpcStatusCode.Cancelled, "The caller left.");
        }
        catch (BadHttpRequestException e)
        {
            return (GrpcStatusCode.Internal, $"The request cannot be read: {e.Message}");
        }
        catch (Exception e)
        {
            // Its text is for the log; the caller learns that it was not their fault.
            Log.CallFailed(logger, context.Request.Path, e);
            return (GrpcStatusCode.Internal, "The platform failed; the administrator finds the details in the server's log.");
        }
    }

    private static bool IsGrpc(string? contentType) =>
        contentType is not null && contentType.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
        && contentType[ContentType.Length..] is "" or ['+' or ';', ..] && !contentType.StartsWith($"{ContentType}+json", StringComparison.OrdinalIgnoreCase);

    private static bool IsCancellation(Exception exception) =>
        exception is OperationCanceledException or IOException or Microsoft.AspNetCore.Connections.ConnectionResetException;
}
