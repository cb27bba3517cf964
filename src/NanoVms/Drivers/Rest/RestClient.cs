using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using NanoVms.Commands;

namespace NanoVms.Drivers.Rest;

/// <summary>
/// JSON over HTTP over a hypervisor's Unix socket. An answer has at most 1 MiB and comes whole within its time limit;
/// whatever else happens is a <see cref="RestException"/>. Thread safe.
/// </summary>
/// <remarks>
/// The hypervisor processes what a hostile guest sends it, so what it answers is not trusted. Nothing is sent twice: an order whose
/// answer was lost may have been carried out.
/// </remarks>
internal sealed class RestClient : IDisposable
{
    private const int MaxAnswer = 1 << 20;
    private const int MaxFault = 1024;
    private static readonly TimeSpan DefaultLimit = TimeSpan.FromSeconds(10);
    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private readonly HttpClient _http;
    private readonly string _folder;
    private readonly string _socket;
    private readonly RestDialect _dialect;
    private readonly TimeProvider _time;

    /// <param name="folder">Where the socket is; of any length.</param>
    /// <param name="socket">The socket's file name.</param>
    public RestClient(string folder, string socket, RestDialect dialect, TimeProvider time)
    {
        _dialect = dialect;
        _time = time;
        _folder = folder;
        _socket = socket;
        _http = Create([]);
    }

    /// <exception cref="RestException">Refused, not this JSON, too long, too late, or nobody is there.</exception>
    public async Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken, TimeSpan? limit = null)
        where T : class
    {
        var answer = await SendAsync(HttpMethod.Get, path, null, limit, cancellationToken);
        try
        {
            return JsonSerializer.Deserialize(answer, type) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            throw new RestException($"{_dialect.Name} answered GET {path} with something else than is documented: {Harmless(e.Message)}", e);
        }
    }

    /// <exception cref="RestException">Refused, too late, or nobody is there.</exception>
    public Task PutAsync<T>(string path, T body, JsonTypeInfo<T> type, CancellationToken cancellationToken, TimeSpan? limit = null) =>
        PutAsync(path, body, type, [], cancellationToken, limit);

    /// <param name="files">Handed over with the order, in this order (SCM_RIGHTS); the caller keeps and closes its own.</param>
    /// <exception cref="RestException">Refused, too late, or nobody is there.</exception>
    public async Task PutAsync<T>(string path, T body, JsonTypeInfo<T> type, IReadOnlyList<SafeHandle> files, CancellationToken cancellationToken, TimeSpan? limit = null)
    {
        // By a connection of their own: files go with the first bytes of one.
        using var own = files.Count == 0 ? null : Create(files);
        _ = await SendAsync(own ?? _http, HttpMethod.Put, path, JsonSerializer.SerializeToUtf8Bytes(body, type), limit, cancellationToken);
    }

    /// <summary>An order without a body.</summary>
    /// <exception cref="RestException">Refused, too late, or nobody is there.</exception>
    public Task PutAsync(string path, CancellationToken cancellationToken, TimeSpan? limit = null) =>
        SendAsync(HttpMethod.Put, path, null, limit, cancellationToken);

    /// <exception cref="RestException">Refused, too late, or nobody is there.</exception>
    public Task PatchAsync<T>(string path, T body, JsonTypeInfo<T> type, CancellationToken cancellationToken, TimeSpan? limit = null) =>
        SendAsync(HttpMethod.Patch, path, JsonSerializer.SerializeToUtf8Bytes(body, type), limit, cancellationToken);

    public void Dispose() => _http.Dispose();

    private HttpClient Create(IReadOnlyList<SafeHandle> files) => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellationToken) =>
        {
            var stream = await UnixSockets.ConnectAsync(_folder, _socket, cancellationToken);
            return files.Count == 0 ? stream : new HandoverStream(stream, files);
        },
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        // No headers but those that are needed: these servers know few.
        ActivityHeadersPropagator = null,
        MaxResponseHeadersLength = 16,
        MaxConnectionsPerServer = 4,
    })
    {
        BaseAddress = new Uri("http://localhost"),
        Timeout = Timeout.InfiniteTimeSpan,
    };

    private Task<byte[]> SendAsync(HttpMethod method, string path, byte[]? body, TimeSpan? limit, CancellationToken cancellationToken) =>
        SendAsync(_http, method, path, body, limit, cancellationToken);

    private async Task<byte[]> SendAsync(HttpClient http, HttpMethod method, string path, byte[]? body, TimeSpan? limit, CancellationToken cancellationToken)
    {
        var patience = limit ?? DefaultLimit;
        using var late = new CancellationTokenSource(patience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        using var request = new HttpRequestMessage(method, _dialect.Prefix + path);
        if (body is not null)
            request.Content = new ByteArrayContent(body) { Headers = { ContentType = Json } };
        else if (method != HttpMethod.Get)
            request.Content = new ByteArrayContent([]);
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            var answer = await ReadAsync(response, method, path, either.Token);
            return response.IsSuccessStatusCode ? answer : throw Refusal(method, path, (int)response.StatusCode, answer);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new RestException($"{_dialect.Name} did not answer {method} {path} in {patience.TotalSeconds:0.#} seconds.", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            throw new RestException($"{_dialect.Name} cannot be reached for {method} {path}: {Harmless((e.InnerException ?? e).Message)}", e);
        }
    }

    private async Task<byte[]> ReadAsync(HttpResponseMessage response, HttpMethod method, string path, CancellationToken cancellationToken)
    {
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var kept = new MemoryStream();
        var buffer = new byte[8192];
        int read;
        while ((read = await stream.ReadAsync(buffer, cancellationToken)) > 0)
        {
            if (kept.Length + read > MaxAnswer)
                throw new RestException($"{_dialect.Name} answered {method} {path} with more than {MaxAnswer} bytes.");
            kept.Write(buffer, 0, read);
        }

        return kept.ToArray();
    }

    private RestException Refusal(HttpMethod method, string path, int status, byte[] body)
    {
        var fault = Harmless(ReadFault(body));
        var reason = fault.Length > 0 ? fault : "it gave no reason";
        return new RestException($"{_dialect.Name} refused {method} {path} with status {status}: {reason}") { Status = status, Fault = fault };
    }

    private string ReadFault(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return _dialect.ReadFault(document.RootElement) ?? "";
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return Encoding.UTF8.GetString(body.AsSpan(0, Math.Min(body.Length, MaxFault)));
        }
    }

    /// <summary>One line without control characters, for logs and terminals.</summary>
    private static string Harmless(string text) =>
        string.Concat(text.Take(MaxFault).Select(c => char.IsControl(c) ? ' ' : c)).Trim();
}
