using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace BytePort.Cli.Api;

/// <summary>Speaks /api/v1. Every failure is an <see cref="ApiException"/> whose message can be shown as it is.</summary>
internal sealed class ApiClient : IDisposable
{
    private const int MaxAnswerBytes = 16 * 1024 * 1024;

    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(60);

    private readonly HttpClient _http;
    private readonly Uri _server;
    private readonly string _name;
    private readonly string? _token;

    public ApiClient(Uri server, string? token)
    {
        _server = server;
        _name = server.ToString().TrimEnd('/');
        _token = token;
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = TimeSpan.FromSeconds(10),
            AllowAutoRedirect = false,

            // A proxy for the Internet does not know this machine.
            UseProxy = !server.IsLoopback,
        };
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = MaxAnswerBytes };
        _http.DefaultRequestHeaders.UserAgent.Add(new("byteport", typeof(ApiClient).Assembly.GetName().Version?.ToString(3)));
    }

    public static string PathOf(string project) => $"api/v1/projects/{Uri.EscapeDataString(project)}";

    public static string PathOf(string project, int number) =>
        string.Create(CultureInfo.InvariantCulture, $"{PathOf(project)}/deployments/{number}");

    public Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        AskAsync(HttpMethod.Get, path, null, type, cancellationToken);

    public Task<T> PostAsync<T>(string path, HttpContent? content, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        AskAsync(HttpMethod.Post, path, content, type, cancellationToken);

    /// <summary>Posts what takes the server longer than a minute.</summary>
    public Task<T> PostAsync<T>(string path, HttpContent? content, JsonTypeInfo<T> type, TimeSpan answerTime, CancellationToken cancellationToken) =>
        AskAsync(HttpMethod.Post, path, content, type, cancellationToken, answerTime);

    public Task<T> PutAsync<T>(string path, HttpContent content, JsonTypeInfo<T> type, TimeSpan answerTime, CancellationToken cancellationToken) =>
        AskAsync(HttpMethod.Put, path, content, type, cancellationToken, answerTime);

    /// <summary>Writes what the server sends to a stream; no time limit, because lines may be slow.</summary>
    public async Task DownloadAsync(string path, Stream target, CancellationToken cancellationToken)
    {
        using var limit = Limit(cancellationToken);
        using var request = CreateRequest(HttpMethod.Get, path);
        using var response = await SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token, cancellationToken);
        await response.Content.CopyToAsync(target, cancellationToken);
    }

    /// <summary>Posts what is answered by no more than a success.</summary>
    public async Task PostAsync(string path, HttpContent? content, TimeSpan answerTime, CancellationToken cancellationToken)
    {
        using var limit = Limit(cancellationToken, answerTime);
        using var request = CreateRequest(HttpMethod.Post, path);
        request.Content = content;
        using var response = await SendAsync(request, HttpCompletionOption.ResponseContentRead, limit.Token, cancellationToken);
    }

    /// <summary>Opens a WebSocket. Ask for the thing first: a refusal here has no reason.</summary>
    public async Task<WebSocket> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        var socket = new ClientWebSocket();
        socket.Options.KeepAliveInterval = TimeSpan.FromSeconds(15);
        if (_token is not null)
            socket.Options.SetRequestHeader("Authorization", $"Bearer {_token}");
        using var limit = Limit(cancellationToken);
        try
        {
            var address = new UriBuilder(new Uri(_server, path)) { Scheme = _server.Scheme == Uri.UriSchemeHttps ? "wss" : "ws" };
            await socket.ConnectAsync(address.Uri, _http, limit.Token);
            return socket;
        }
        catch (WebSocketException exception)
        {
            socket.Dispose();
            throw new ApiException($"{_name} does not open a WebSocket at /{path}: {exception.Message}", null, inner: exception);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Deletes something and returns what the server says of it.</summary>
    public Task<T> DeleteAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        AskAsync(HttpMethod.Delete, path, null, type, cancellationToken);

    /// <summary>Sends a request whose answer does not matter, only that it is a success.</summary>
    public async Task SendAsync(HttpMethod method, string path, CancellationToken cancellationToken)
    {
        using var limit = Limit(cancellationToken);
        using var request = CreateRequest(method, path);
        using var response = await SendAsync(request, HttpCompletionOption.ResponseContentRead, limit.Token, cancellationToken);
    }

    /// <summary>Sends a file to the address that the server gave out for it; no time limit, because lines may be slow.</summary>
    public async Task UploadAsync(string url, HttpContent content, CancellationToken cancellationToken)
    {
        using var request = CreateRequest(HttpMethod.Put, url);
        request.Content = content;

        // A refusal comes before the body is sent, so that its reason is read and not a broken pipe.
        request.Headers.ExpectContinue = true;
        using var response = await SendAsync(request, HttpCompletionOption.ResponseContentRead, cancellationToken, cancellationToken);
    }

    /// <summary>Reads a stream of events until the server ends it or it breaks off.</summary>
    /// <param name="path">Where.</param>
    /// <param name="lastEventId">The last event that was seen; the stream goes on behind it.</param>
    /// <param name="silence">Longest time without an event before the stream counts as broken; comments that keep a line open do not count.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public IAsyncEnumerable<SseItem<string>> ReadEventsAsync(string path, string? lastEventId, TimeSpan silence, CancellationToken cancellationToken) =>
        ReadEventsAsync(HttpMethod.Get, path, null, lastEventId, silence, cancellationToken);

    /// <summary>Posts what is answered by events.</summary>
    /// <param name="path">Where.</param>
    /// <param name="content">What.</param>
    /// <param name="silence">As of the other.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public IAsyncEnumerable<SseItem<string>> PostForEventsAsync(string path, HttpContent content, TimeSpan silence, CancellationToken cancellationToken) =>
        ReadEventsAsync(HttpMethod.Post, path, content, null, silence, cancellationToken);

    public void Dispose() => _http.Dispose();

    private async IAsyncEnumerable<SseItem<string>> ReadEventsAsync(
        HttpMethod method, string path, HttpContent? content, string? lastEventId, TimeSpan silence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var limit = Limit(cancellationToken);
        using var request = CreateRequest(method, path);
        request.Content = content;
        request.Headers.Accept.Add(new("text/event-stream"));
        if (lastEventId is not null)
            request.Headers.Add("Last-Event-ID", lastEventId);
        using var response = await SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token, cancellationToken);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        await using var events = SseParser.Create(stream).EnumerateAsync(limit.Token).GetAsyncEnumerator(limit.Token);
        while (true)
        {
            limit.CancelAfter(silence);
            try
            {
                if (!await events.MoveNextAsync())
                    yield break;
            }
            catch (Exception exception) when (exception is IOException or HttpRequestException or OperationCanceledException
                && !cancellationToken.IsCancellationRequested)
            {
                // Broken or silent: whoever follows asks again.
                yield break;
            }

            yield return events.Current;
        }
    }

    private static CancellationTokenSource Limit(CancellationToken cancellationToken, TimeSpan? answerTime = null)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(answerTime ?? AnswerTime);
        return limit;
    }

    private async Task<T> AskAsync<T>(
        HttpMethod method, string path, HttpContent? content, JsonTypeInfo<T> type, CancellationToken cancellationToken, TimeSpan? answerTime = null)
    {
        using var limit = Limit(cancellationToken, answerTime);
        using var request = CreateRequest(method, path);
        request.Content = content;
        using var response = await SendAsync(request, HttpCompletionOption.ResponseContentRead, limit.Token, cancellationToken);
        try
        {
            return await response.Content.ReadFromJsonAsync(type, limit.Token)
                ?? throw new ApiException($"{_name} answered {method} /{path} with nothing.", response.StatusCode);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new ApiException($"{_name} answered {method} /{path} with something that is not BytePort's. Is it a BytePort server?", response.StatusCode, inner: exception);
        }
    }

    private HttpRequestMessage CreateRequest(HttpMethod method, string path)
    {
        var request = new HttpRequestMessage(method, new Uri(_server, path));

        // The token goes to the server that gave it out, and to nobody that an answer names.
        if (_token is not null && request.RequestUri!.GetLeftPart(UriPartial.Authority) == _server.GetLeftPart(UriPartial.Authority))
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _token);
        if (method == HttpMethod.Post)
            request.Headers.Add("Idempotency-Key", Guid.NewGuid().ToString());
        return request;
    }

    private async Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request, HttpCompletionOption completion, CancellationToken limit, CancellationToken cancellationToken)
    {
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, completion, limit);
        }
        catch (HttpRequestException exception)
        {
            throw new ApiException(Explain(exception), null, inner: exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ApiException($"{_name} did not answer {request.Method} {request.RequestUri!.AbsolutePath} in time.", null, inner: exception);
        }

        if (response.IsSuccessStatusCode)
            return response;
        using (response)
            throw await ReadProblemAsync(request, response, cancellationToken);
    }

    private async Task<ApiException> ReadProblemAsync(HttpRequestMessage request, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        Problem? problem = null;
        try
        {
            if (response.Content.Headers.ContentType?.MediaType is "application/problem+json" or "application/json")
                problem = await response.Content.ReadFromJsonAsync(ApiJson.Default.Problem, cancellationToken);
        }
        catch (Exception exception) when (exception is JsonException or HttpRequestException or IOException or InvalidOperationException)
        {
            // The status says enough.
        }

        if (response.StatusCode == HttpStatusCode.Unauthorized)
        {
            var what = _token is null ? "You are not signed in to" : "The token is not valid for";
            return new($"{what} {_name}. Run ./byteport up on the server's machine, or byteport login, or set BYTEPORT_TOKEN.", response.StatusCode, problem?.Code);
        }

        var title = problem?.Title ?? $"{_name} answered {(int)response.StatusCode} to {request.Method} {request.RequestUri!.AbsolutePath}";
        var detail = problem?.Detail is { Length: > 0 } text && text != title ? $": {text}" : "";
        var code = problem?.Code is { Length: > 0 } name ? $" ({name})" : "";
        return new($"{title.TrimEnd('.')}{detail}{code}", response.StatusCode, problem?.Code);
    }

    private string Explain(HttpRequestException exception) => exception.InnerException is SocketException socket
        ? socket.SocketErrorCode switch
        {
            SocketError.ConnectionRefused => $"Nothing listens at {_name}. Start BytePort with: ./byteport up",
            SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData => $"The name {_server.Host} is not known. Check BYTEPORT_URL or run byteport login.",
            _ => $"Cannot reach {_name}: {socket.Message}. Check BYTEPORT_URL, or start BytePort with: ./byteport up",
        }
        : exception.HttpRequestError == HttpRequestError.SecureConnectionError
            ? $"The certificate of {_name} is not trusted: {exception.InnerException?.Message ?? exception.Message}"
            : $"The request to {_name} broke off: {exception.InnerException?.Message ?? exception.Message}";
}
