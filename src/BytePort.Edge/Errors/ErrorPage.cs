using System.Globalization;
using System.Net.Mime;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace BytePort.Edge.Errors;

/// <summary>The edge's own error answers: a short page for people, problem details (RFC 9457) for programs.</summary>
internal static class ErrorPage
{
    /// <param name="context">Its response has not begun.</param>
    /// <param name="status">400-599.</param>
    /// <param name="reason">One sentence for strangers: it names nothing internal.</param>
    public static async Task WriteAsync(HttpContext context, int status, string reason)
    {
        var response = context.Response;
        var title = ReasonPhrases.GetReasonPhrase(status);
        var json = WantsJson(context.Request);
        var body = json
            ? JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, object> { ["type"] = "about:blank", ["title"] = title, ["status"] = status, ["detail"] = reason, ["code"] = Code(status) })
            : Encoding.UTF8.GetBytes(Html(status, title, reason));
        response.StatusCode = status;
        response.ContentType = json ? MediaTypeNames.Application.ProblemJson : "text/html; charset=utf-8";
        response.ContentLength = body.Length;
        response.Headers.CacheControl = "no-store";
        response.Headers.XContentTypeOptions = "nosniff";
        if (status == StatusCodes.Status503ServiceUnavailable)
            response.Headers.RetryAfter = "5";
        if (!HttpMethods.IsHead(context.Request.Method))
            await response.Body.WriteAsync(body, context.RequestAborted).ConfigureAwait(false);
    }

    private static string Code(int status) => status switch
    {
        StatusCodes.Status400BadRequest => "bad_request",
        StatusCodes.Status404NotFound => "not_found",
        StatusCodes.Status405MethodNotAllowed => "method_not_allowed",
        StatusCodes.Status412PreconditionFailed => "precondition_failed",
        StatusCodes.Status413PayloadTooLarge => "body_too_large",
        StatusCodes.Status502BadGateway => "bad_gateway",
        StatusCodes.Status503ServiceUnavailable => "unavailable",
        StatusCodes.Status504GatewayTimeout => "upstream_timeout",
        _ => string.Create(CultureInfo.InvariantCulture, $"http_{status}"),
    };

    private static bool WantsJson(HttpRequest request)
    {
        var accept = request.Headers.Accept.ToString();
        return accept.Contains("json", StringComparison.OrdinalIgnoreCase) && !accept.Contains("text/html", StringComparison.OrdinalIgnoreCase);
    }

    private static string Html(int status, string title, string reason)
    {
        var (safeTitle, safeReason) = (HtmlEncoder.Default.Encode(title), HtmlEncoder.Default.Encode(reason));
        return string.Create(CultureInfo.InvariantCulture, $$"""
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width">
            <title>{{status}} {{safeTitle}}</title>
            <style>body{font:16px/1.5 system-ui,sans-serif;margin:20vh auto;max-width:32rem;padding:0 1rem;color-scheme:light dark}h1{font-size:1.25rem}</style>
            <h1>{{status}} {{safeTitle}}</h1>
            <p>{{safeReason}}</p>
            </html>

            """);
    }
}
