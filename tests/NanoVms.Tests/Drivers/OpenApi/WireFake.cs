using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace NanoVms.Tests.Drivers.OpenApi;

/// <summary>What a fake answers: a status, and a body unless it is null.</summary>
internal sealed record WireAnswer(int Status, object? Body = null)
{
    public static WireAnswer Done { get; } = new(204);
}

/// <summary>
/// An HTTP server on a Unix socket in a hypervisor's place. It checks every request, and every answer of its own, by the
/// hypervisor's description; what breaks that description is kept in <see cref="Violations"/> whatever was answered.
/// </summary>
internal abstract class WireFake(string document, string prefix) : IAsyncDisposable
{
    private const int MaxBody = 51_200;
    private readonly OpenApiDocument _document = OpenApiDocument.Load(document);
    private readonly SemaphoreSlim _one = new(1);
    private WebApplication? _server;

    /// <summary>Requests that were not as described, and answers of this fake that were not.</summary>
    public ConcurrentQueue<string> Violations { get; } = [];

    /// <summary>Told of each of them.</summary>
    public Action<string>? Violated { get; set; }

    /// <summary>Method and path of every request, in order.</summary>
    public ConcurrentQueue<string> Requests { get; } = [];

    /// <summary>The last body of each method and path.</summary>
    public ConcurrentDictionary<string, JsonElement> Bodies { get; } = [];

    /// <summary>A path as the hypervisor sees it.</summary>
    public static string Native(string? path) => Path.GetFullPath(path ?? "");

    /// <summary>Members of bodies that the hypervisor takes and its document leaves out.</summary>
    protected virtual IReadOnlyList<string> Undescribed => [];

    public async Task StartAsync(string socket)
    {
        // Its settings are watched for changes, so not in a large folder, and not in the working folder, which may be closed.
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.ListenUnixSocket(Native(socket));
        });
        _server = builder.Build();
        _server.Run(ServeAsync);
        await _server.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            // Clients keep their connections open.
            await _server.StopAsync(new CancellationToken(true));
            await _server.DisposeAsync();
        }

        await DisposeCoreAsync();
        _one.Dispose();
    }

    protected virtual ValueTask DisposeCoreAsync() => ValueTask.CompletedTask;

    /// <summary>What the hypervisor does and answers; the request is as described.</summary>
    protected abstract Task<WireAnswer> AnswerAsync(string method, OpenApiOperation operation, string path, JsonElement? body);

    /// <summary>How it refuses.</summary>
    protected abstract WireAnswer Refuse(int status, string reason);

    protected abstract WireAnswer RefuseUnknown(string method, string path);

    private async Task ServeAsync(HttpContext context)
    {
        // As the hypervisors do: one request after the other.
        await _one.WaitAsync(context.RequestAborted);
        try
        {
            var (method, path) = (context.Request.Method, context.Request.Path.Value!);
            Requests.Enqueue($"{method} {path}");
            var (operation, answer) = await DecideAsync(context, method, path);
            var json = answer.Body is null ? (JsonElement?)null : JsonSerializer.SerializeToElement(answer.Body);
            if (operation is not null && _document.FindResponseError(operation, answer.Status, json) is { } wrong)
                Violate($"answer {answer.Status} to {method} {path}: {wrong}");
            context.Response.StatusCode = answer.Status;
            if (json is { } content)
            {
                context.Response.ContentType = "application/json";
                var bytes = Encoding.UTF8.GetBytes(content.GetRawText());
                context.Response.ContentLength = bytes.Length;
                await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
            }
        }
        catch (OperationCanceledException)
        {
            // The client is gone.
        }
        finally
        {
            _ = _one.Release();
        }
    }

    private async Task<(OpenApiOperation? Operation, WireAnswer Answer)> DecideAsync(HttpContext context, string method, string path)
    {
        var operation = path.StartsWith(prefix, StringComparison.Ordinal) ? _document.Find(method, path[prefix.Length..]) : null;
        if (operation is null)
        {
            Violate($"{method} {path} does not exist");
            return (null, RefuseUnknown(method, path));
        }

        JsonElement? body;
        try
        {
            body = await ReadAsync(context);
        }
        catch (JsonException e)
        {
            Violate($"{method} {path}: {e.Message}");
            return (operation, Refuse(400, e.Message));
        }

        if (body is not null && context.Request.ContentType != "application/json")
            Violate($"{method} {path} has the content type {context.Request.ContentType}");
        if (context.Request.ContentLength is null && context.Request.Headers.TransferEncoding.Count > 0)
            Violate($"{method} {path} is chunked, which these servers do not take");
        if (_document.FindRequestError(operation, Describe(body)) is { } error)
        {
            Violate($"{method} {path}: {error}");
            return (operation, Refuse(400, error));
        }

        if (body is not null)
            Bodies[$"{method} {path}"] = body.Value;
        return (operation, await AnswerAsync(method, operation, path[prefix.Length..], body));
    }

    private JsonElement? Describe(JsonElement? body)
    {
        if (body is not { ValueKind: JsonValueKind.Object } given || Undescribed.Count == 0)
            return body;
        return JsonSerializer.SerializeToElement(given.EnumerateObject().Where(member => !Undescribed.Contains(member.Name)).ToDictionary(member => member.Name, member => member.Value));
    }

    private void Violate(string violation)
    {
        Violations.Enqueue(violation);
        Violated?.Invoke(violation);
    }

    private static async Task<JsonElement?> ReadAsync(HttpContext context)
    {
        using var kept = new MemoryStream();
        await context.Request.Body.CopyToAsync(kept, context.RequestAborted);
        if (kept.Length > MaxBody)
            throw new JsonException($"a body of {kept.Length} bytes is too long");
        if (kept.Length == 0)
            return null;
        using var document = JsonDocument.Parse(kept.ToArray());
        return document.RootElement.Clone();
    }
}
