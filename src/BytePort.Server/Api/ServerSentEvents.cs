using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;

namespace BytePort.Server.Api;

/// <summary>Writes a server-sent event stream (HTML standard, §9.2). Events carry offsets as ids, so a reader that comes back with
/// <c>Last-Event-ID</c> goes on where it was.</summary>
internal sealed class ServerSentEvents
{
    /// <summary>Silence longer than this is broken by a comment, so that proxies keep the connection.</summary>
    public static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(15);

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { Converters = { ApiJson.Enums } };

    private readonly HttpResponse _response;

    private ServerSentEvents(HttpResponse response) => _response = response;

    public static bool Wanted(HttpRequest request)
        => request.Headers.Accept.Any(value => value?.Contains("text/event-stream", StringComparison.OrdinalIgnoreCase) == true);

    /// <summary>The offset after which to begin: what the client saw last, else the query's.</summary>
    public static long From(HttpRequest request, long? query)
        => long.TryParse(request.Headers["Last-Event-ID"], NumberStyles.None, CultureInfo.InvariantCulture, out var seen) ? seen : Math.Max(query ?? 0, 0);

    public static async Task<ServerSentEvents> StartAsync(HttpContext context)
    {
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers["X-Accel-Buffering"] = "no";
        await context.Response.StartAsync(context.RequestAborted);
        return new ServerSentEvents(context.Response);
    }

    public Task WriteAsync<T>(string type, T data, long? id, CancellationToken cancellationToken)
        => _response.WriteAsync($"{(id is { } value ? $"id: {value.ToString(CultureInfo.InvariantCulture)}\n" : "")}event: {type}\ndata: {JsonSerializer.Serialize(data, Json)}\n\n", cancellationToken);

    public Task KeepAliveAsync(CancellationToken cancellationToken) => _response.WriteAsync(": still here\n\n", cancellationToken);

    public Task FlushAsync(CancellationToken cancellationToken) => _response.Body.FlushAsync(cancellationToken);
}
