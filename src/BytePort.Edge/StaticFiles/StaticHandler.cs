using System.Globalization;
using BytePort.Edge.Errors;
using BytePort.Edge.Listening.Loops;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace BytePort.Edge.StaticFiles;

/// <summary>Answers requests from a <see cref="StaticSite"/>.</summary>
/// <remarks>
/// 1. Only GET and HEAD. 2. One look-up finds a file, a redirect or nothing. 3. Accept-Encoding selects a representation,
/// and validators and ranges are about that. 4. Preconditions. 5. Ranges, for GET. 6. The content, from memory or disk.
/// A small file that is in memory passes through without an allocation of ours and without waiting.
/// </remarks>
internal sealed class StaticHandler(BlobCache cache, IOptions<EdgeOptions> options, ILogger<StaticHandler> log)
{
    /// <summary>Content smaller than this is copied faster than it is lent. Bytes.</summary>
    private const int LendBytes = 8 << 10;

    private static readonly StringValues NoSniff = "nosniff";
    private static readonly StringValues Bytes = "bytes";
    private static readonly StringValues AcceptEncoding = "Accept-Encoding";
    private static readonly StringValues Allow = "GET, HEAD";
    private static readonly StringValues Revalidate = "public, max-age=0, must-revalidate";

    private readonly int _maxRanges = options.Value.MaxRanges;

    /// <param name="context">The request; its response has not begun.</param>
    /// <param name="site">Where to look.</param>
    /// <param name="prefixLength">Characters of the path that belong to the route's prefix.</param>
    public Task HandleAsync(HttpContext context, StaticSite site, int prefixLength)
    {
        // 1.
        var request = context.Request;
        var response = context.Response;
        var isGet = HttpMethods.IsGet(request.Method);
        if (!isGet && !HttpMethods.IsHead(request.Method))
        {
            response.Headers.Allow = Allow;
            return ErrorPage.WriteAsync(context, StatusCodes.Status405MethodNotAllowed, "This address can only be read.");
        }

        // 2.
        var path = request.Path.Value ?? "";
        var answer = site.Resolve(path.AsSpan(prefixLength));
        if (answer.Location is not null)
            return Redirect(context, answer, path[..prefixLength]);
        if (answer.Entry is not { } entry)
            return ErrorPage.WriteAsync(context, StatusCodes.Status404NotFound, "There is no page at this address.");

        // 3.
        var representation = entry.Select(request.Headers.AcceptEncoding);
        var headers = response.Headers;
        headers.XContentTypeOptions = NoSniff;
        if (entry.Varies)
            headers.Vary = AcceptEncoding;
        if (answer.Status == StatusCodes.Status200OK)
        {
            headers.CacheControl = entry.CacheControl;
            headers.ETag = representation.ETag;
            headers.AcceptRanges = Bytes;
            if (site.LastModifiedText is { } lastModified)
                headers.LastModified = lastModified;

            // 4.
            switch (Preconditions.Evaluate(request.Headers, representation.ETag.ToString(), site.LastModified))
            {
                case PreconditionOutcome.NotModified:
                    response.StatusCode = StatusCodes.Status304NotModified;
                    return Task.CompletedTask;
                case PreconditionOutcome.Failed:
                    headers.Clear();
                    return ErrorPage.WriteAsync(context, StatusCodes.Status412PreconditionFailed, "The page changed since you last saw it.");
            }

            // 5.
            if (isGet && request.Headers.Range is { Count: 1 } range
                && Preconditions.AllowsRange(request.Headers.IfRange.ToString(), representation.ETag.ToString(), site.LastModified))
            {
                switch (ByteRanges.Parse(range.ToString(), representation.Length, _maxRanges, out var ranges))
                {
                    case RangeOutcome.Satisfiable:
                        SetContent(headers, entry, representation);
                        return SendRangesAsync(context, entry, representation, ranges);
                    case RangeOutcome.Unsatisfiable:
                        response.StatusCode = StatusCodes.Status416RangeNotSatisfiable;
                        headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes */{representation.Length}");
                        headers.ContentLength = 0;
                        return Task.CompletedTask;
                }
            }
        }
        else
        {
            response.StatusCode = answer.Status;
            headers.CacheControl = Revalidate;
        }

        // 6.
        SetContent(headers, entry, representation);
        headers.ContentLength = representation.Length;
        if (!isGet || representation.Length == 0)
            return Task.CompletedTask;
        if (BlobCache.TryGet(representation) is not { } content)
            return SendAsync(context, representation, new ByteRange(0, representation.Length - 1), null, null);
        if (content.Length >= LendBytes && TryLend(context, content))
            return Task.CompletedTask;
        var write = response.BodyWriter.WriteAsync(content, context.RequestAborted);
        return write.IsCompletedSuccessfully ? Task.CompletedTask : write.AsTask();
    }

    /// <summary>Without a copy, where the connection can do that. Kestrel flushes at the request's end.</summary>
    private static bool TryLend(HttpContext context, byte[] content) =>
        HttpProtocol.IsHttp11(context.Request.Protocol)
        && context.Features.Get<LoopConnection>() is { } connection
        && context.Response.StartAsync(context.RequestAborted).IsCompletedSuccessfully
        && connection.TryLend(context.Response.BodyWriter, content);

    private static void SetContent(IHeaderDictionary headers, SiteEntry entry, Representation representation)
    {
        headers.ContentType = entry.ContentType;
        if (representation.Encoding.Count > 0)
            headers.ContentEncoding = representation.Encoding;
    }

    private static Task Redirect(HttpContext context, SiteAnswer answer, string prefix)
    {
        var response = context.Response;
        response.StatusCode = answer.Status;
        response.Headers.Location = string.Concat(new PathString(prefix).ToUriComponent(), answer.Location, context.Request.QueryString.Value);
        response.Headers.CacheControl = Revalidate;
        response.ContentLength = 0;
        return Task.CompletedTask;
    }

    private async Task SendRangesAsync(HttpContext context, SiteEntry entry, Representation representation, ByteRange[] ranges)
    {
        context.Response.StatusCode = StatusCodes.Status206PartialContent;
        if (ranges is [var only])
        {
            context.Response.Headers.ContentRange = only.ContentRange(representation.Length);
            context.Response.ContentLength = only.Length;
            await SendAsync(context, representation, only, null, null).ConfigureAwait(false);
            return;
        }

        var parts = new MultipartRanges(ranges, entry.ContentType.ToString(), representation.Length);
        context.Response.ContentType = parts.ContentType;
        context.Response.ContentLength = parts.Length;
        for (var i = 0; i < ranges.Length; i++)
            await SendAsync(context, representation, ranges[i], parts.Head(i), i == ranges.Length - 1 ? parts.Tail : null).ConfigureAwait(false);
    }

    private async Task SendAsync(HttpContext context, Representation representation, ByteRange range, byte[]? before, byte[]? after)
    {
        var response = context.Response;
        var aborted = context.RequestAborted;
        if (context.Features.Get<LoopConnection>() is { } connection)
            await connection.LeaveAsync();
        try
        {
            if (cache.Takes(representation))
            {
                var content = await cache.GetAsync(representation, aborted).ConfigureAwait(false);
                await WriteAsync(response, before, aborted).ConfigureAwait(false);
                await response.BodyWriter.WriteAsync(content.AsMemory((int)range.First, (int)range.Length), aborted).ConfigureAwait(false);
            }
            else
            {
                using var file = BlobFile.Open(representation);
                await WriteAsync(response, before, aborted).ConfigureAwait(false);
                await BlobFile.CopyAsync(file, range, response.BodyWriter, aborted).ConfigureAwait(false);
            }

            await WriteAsync(response, after, aborted).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (aborted.IsCancellationRequested)
        {
            // The visitor left; nobody is there to be told.
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.ContentUnreadable(log, representation.BlobPath, exception);
            if (response.HasStarted)
            {
                // Cut the connection: a short body must not look like a whole one.
                context.Abort();
                return;
            }

            response.Clear();
            await ErrorPage.WriteAsync(context, StatusCodes.Status500InternalServerError, "This page cannot be read right now.").ConfigureAwait(false);
        }
    }

    private static async ValueTask WriteAsync(HttpResponse response, byte[]? bytes, CancellationToken cancellationToken)
    {
        if (bytes is not null)
            await response.BodyWriter.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
    }
}
