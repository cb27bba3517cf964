using BytePort.Server.Hosting;

namespace BytePort.Server.Routing;

/// <summary>Answers for names below the app domain that no app has: the platform's own pages and API are not offered under them.</summary>
internal static class UnknownApps
{
    private const string Page = """
        <!doctype html>
        <html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>No app here</title>
        <style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:36rem;margin:20vh auto;padding:0 1.5rem}</style>
        <h1>No app here</h1>
        <p>Nothing is deployed under this name, or nothing has gone live yet.</p>

        """;

    public static void UseUnknownApps(this WebApplication app)
    {
        var suffix = "." + app.Services.GetRequiredService<ServerOptions>().AppDomain;
        app.Use((context, next) => context.Request.Host.Host.TrimEnd('.').EndsWith(suffix, StringComparison.OrdinalIgnoreCase) ? AnswerAsync(context) : next(context));
    }

    private static Task AnswerAsync(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status404NotFound;
        context.Response.ContentType = "text/html; charset=utf-8";
        context.Response.Headers.CacheControl = "no-store";
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.WriteAsync(Page, context.RequestAborted);
    }
}
