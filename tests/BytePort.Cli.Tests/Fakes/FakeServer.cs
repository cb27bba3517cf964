using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace BytePort.Cli.Tests.Fakes;

/// <summary>What came over the wire.</summary>
internal sealed record ReceivedRequest(string Method, string Path, string Query, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string Text => Encoding.UTF8.GetString(Body);
}

/// <summary>A server on the loopback address that answers as it is told and remembers what it was asked.</summary>
internal sealed class FakeServer : IAsyncDisposable
{
    private readonly HttpListener _listener;
    private readonly ConcurrentDictionary<string, Func<HttpListenerContext, ReceivedRequest, Task>> _answers = new();
    private readonly ConcurrentQueue<ReceivedRequest> _requests = new();
    private readonly ConcurrentQueue<Exception> _failures = new();
    private readonly Task _loop;

    public FakeServer()
    {
        (_listener, Url) = Listen();
        _loop = ServeAsync();
    }

    public string Url { get; }

    public IReadOnlyList<ReceivedRequest> Requests => [.. _requests];

    public IEnumerable<string> Asked => _requests.Select(request => $"{request.Method} {request.Path}");

    /// <param name="request">Method and path, such as <c>GET /api/v1/projects</c>.</param>
    /// <param name="answer">Writes the response; it is closed afterwards.</param>
    public void On(string request, Func<HttpListenerContext, ReceivedRequest, Task> answer) => _answers[request] = answer;

    public void OnJson(string request, object body, int status = 200) => On(request, (context, _) => WriteJsonAsync(context, body, status));

    public void OnProblem(string request, int status, string title, string detail, string code) => On(request, (context, _) =>
        WriteJsonAsync(context, new { title, detail, code, status }, status, "application/problem+json"));

    /// <summary>Answers with each of the given bodies in turn, then with the last one again and again.</summary>
    public void OnEach(string request, params object[] bodies)
    {
        var next = -1;
        On(request, (context, _) => WriteJsonAsync(context, bodies[Math.Min(Interlocked.Increment(ref next), bodies.Length - 1)], 200));
    }

    public static async Task WriteJsonAsync(HttpListenerContext context, object body, int status, string type = "application/json")
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        await context.Response.OutputStream.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(body, JsonSerializerOptions.Web));
    }

    public static async Task WriteEventAsync(HttpListenerContext context, string type, object data, long? id = null)
    {
        if (!context.Response.SendChunked)
        {
            context.Response.ContentType = "text/event-stream";
            context.Response.SendChunked = true;
        }

        var text = $"{(id is null ? "" : $"id: {id}\n")}event: {type}\ndata: {JsonSerializer.Serialize(data, JsonSerializerOptions.Web)}\n\n";
        await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(text));
        await context.Response.OutputStream.FlushAsync();
    }

    public static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    public async ValueTask DisposeAsync()
    {
        _listener.Abort();
        await _loop;
        Assert.Empty(_failures);
    }

    /// <summary>Between finding a free port and taking it, another test may be quicker.</summary>
    private static (HttpListener Listener, string Url) Listen()
    {
        for (var attempt = 1; ; attempt++)
        {
            var url = $"http://127.0.0.1:{FreePort()}/";
            var listener = new HttpListener { Prefixes = { url } };
            try
            {
                listener.Start();
                return (listener, url);
            }
            catch (HttpListenerException) when (attempt < 20)
            {
                listener.Close();
            }
        }
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException)
            {
                return;
            }

            _ = AnswerAsync(context);
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        try
        {
            using var body = new MemoryStream();
            await context.Request.InputStream.CopyToAsync(body);
            var headers = context.Request.Headers.AllKeys.ToDictionary(key => key!, key => context.Request.Headers[key]!, StringComparer.OrdinalIgnoreCase);
            var request = new ReceivedRequest(context.Request.HttpMethod, context.Request.Url!.AbsolutePath, context.Request.Url.Query, headers, body.ToArray());
            _requests.Enqueue(request);
            if (_answers.TryGetValue($"{request.Method} {request.Path}", out var answer))
                await answer(context, request);
            else
                await WriteJsonAsync(context, new { title = "Not found", detail = $"Nothing at {request.Path}.", code = "not_found" }, 404, "application/problem+json");
            context.Response.Close();
        }
        catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException or IOException or OperationCanceledException)
        {
            // The other side hung up, or a test broke the connection on purpose.
        }
        catch (Exception exception)
        {
            _failures.Enqueue(exception);
            context.Response.Abort();
        }
    }
}
