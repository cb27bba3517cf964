using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using NanoVms.Drivers.Firecracker;
using NanoVms.Drivers.Rest;

namespace NanoVms.Tests.Drivers.Rest;

/// <summary>What a hypervisor in a guest's hands may answer.</summary>
public sealed class RestClientTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(300);
    private static readonly RestDialect Dialect = new("Test", "", body => body.GetProperty("fault_message").GetString());

    [Fact]
    public async Task Get_DribbledAnswer_IsRead()
    {
        await using var server = Answering(Whole("200 OK", """{"firecracker_version":"1.2.3"}"""), pause: TimeSpan.FromMilliseconds(1));
        Assert.Equal("1.2.3", (await GetAsync(server, TimeSpan.FromSeconds(10))).FirecrackerVersion);
    }

    [Fact]
    public async Task Get_DribbledForLongerThanTheLimit_EndsInTime()
    {
        await using var server = Answering(Whole("200 OK", new string(' ', 5000) + "{}"), pause: TimeSpan.FromMilliseconds(20));
        var clock = Stopwatch.StartNew();
        var failure = await Assert.ThrowsAsync<RestException>(() => GetAsync(server, Short));
        Assert.Contains("did not answer GET /version in 0.3 seconds", failure.Message, StringComparison.Ordinal);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"{clock.Elapsed}");
    }

    [Fact]
    public async Task Get_NoAnswer_EndsInTime()
    {
        await using var server = new RawServer((_, stop) => Task.Delay(Timeout.Infinite, stop));
        var failure = await Assert.ThrowsAsync<RestException>(() => GetAsync(server, Short));
        Assert.Null(failure.Status);
    }

    [Fact]
    public async Task Get_Canceled_IsCanceled()
    {
        await using var server = new RawServer((_, stop) => Task.Delay(Timeout.Infinite, stop));
        using var client = new RestClient(server.Folder, RawServer.Name, Dialect, TimeProvider.System);
        using var canceling = new CancellationTokenSource(Short);
        _ = await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => client.GetAsync("/version", FirecrackerJson.Default.VersionAnswer, canceling.Token));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Get_EndlessAnswer_IsCutOff(bool withLength)
    {
        await using var server = new RawServer(async (stream, stop) =>
        {
            await ReadRequestAsync(stream, stop);
            await WriteAsync(stream, withLength ? "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n" : "HTTP/1.1 200 OK\r\n\r\n", stop);
            var block = new byte[64 * 1024];
            while (true)
                await stream.WriteAsync(block, stop);
        });
        var failure = await Assert.ThrowsAsync<RestException>(() => GetAsync(server, TimeSpan.FromSeconds(10)));
        Assert.Contains("more than 1048576 bytes", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_EndlessHeaders_AreCutOff()
    {
        await using var server = new RawServer(async (stream, stop) =>
        {
            await ReadRequestAsync(stream, stop);
            await WriteAsync(stream, "HTTP/1.1 200 OK\r\n", stop);
            while (true)
                await WriteAsync(stream, "X-More: and more, and more, and more\r\n", stop);
        });
        _ = await Assert.ThrowsAsync<RestException>(() => GetAsync(server, TimeSpan.FromSeconds(10)));
    }

    [Theory]
    [InlineData("no HTTP at all\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno!")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"firecracker_version\": 1}")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"firecracker_version\": \"1\"}")]
    [InlineData("")]
    public async Task Get_Nonsense_IsRefused(string answer)
    {
        await using var server = Answering(answer);
        _ = await Assert.ThrowsAsync<RestException>(() => GetAsync(server, TimeSpan.FromSeconds(10)));
    }

    [Theory]
    [InlineData("""{"fault_message":"no \u001b[31mkernel\n"}""", "no  [31mkernel")]
    [InlineData("""{"fault_message":3}""", """{"fault_message":3}""")]
    [InlineData("""["a list"]""", """["a list"]""")]
    [InlineData("no \u0007JSON", "no  JSON")]
    [InlineData("", "")]
    public async Task Get_Refused_GivesTheReasonHarmlessly(string body, string fault)
    {
        await using var server = Answering(Whole("400 Bad Request", body));
        var refusal = await Assert.ThrowsAsync<RestException>(() => GetAsync(server, TimeSpan.FromSeconds(10)));
        Assert.Equal((400, fault), (refusal.Status, refusal.Fault));
        Assert.StartsWith("Test refused GET /version with status 400", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_EndlessReason_IsShortened()
    {
        await using var server = Answering(Whole("500 Internal Server Error", $$"""{"fault_message":"{{new string('x', 100_000)}}"}"""));
        var refusal = await Assert.ThrowsAsync<RestException>(() => GetAsync(server, TimeSpan.FromSeconds(10)));
        Assert.Equal(1024, refusal.Fault.Length);
    }

    [Fact]
    public async Task Get_Redirected_IsNotFollowed()
    {
        await using var server = Answering("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
        Assert.Equal(302, (await Assert.ThrowsAsync<RestException>(() => GetAsync(server, TimeSpan.FromSeconds(10)))).Status);
    }

    [Fact]
    public async Task Get_NobodyThere_SaysSo()
    {
        using var client = new RestClient(Path.GetTempPath(), "nobody.sock", Dialect, TimeProvider.System);
        var failure = await Assert.ThrowsAsync<RestException>(() => client.GetAsync("/version", FirecrackerJson.Default.VersionAnswer, CancellationToken.None));
        Assert.Contains("cannot be reached", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Put_Request_IsPlainAndWhole()
    {
        var seen = "";
        await using var server = new RawServer(async (stream, stop) =>
        {
            seen = await ReadRequestAsync(stream, stop);
            await WriteAsync(stream, "HTTP/1.1 204 No Content\r\n\r\n", stop);
        });
        using var client = new RestClient(server.Folder, RawServer.Name, Dialect, TimeProvider.System);
        using var activity = new Activity("request").Start();
        await client.PutAsync("/vsock", new VsockDevice(3, "v"), FirecrackerJson.Default.VsockDevice, CancellationToken.None);
        Assert.Equal(
            "PUT /vsock HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{\"guest_cid\":3,\"uds_path\":\"v\"}",
            seen);
    }

    private static RawServer Answering(string answer, TimeSpan pause = default) => new(async (stream, stop) =>
    {
        await ReadRequestAsync(stream, stop);
        if (pause == default)
        {
            await WriteAsync(stream, answer, stop);
            return;
        }

        foreach (var character in answer)
        {
            await WriteAsync(stream, character.ToString(), stop);
            await Task.Delay(pause, stop);
        }
    });

    private static string Whole(string status, string body) =>
        $"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}";

    private static async Task<VersionAnswer> GetAsync(RawServer server, TimeSpan limit)
    {
        using var client = new RestClient(server.Folder, RawServer.Name, Dialect, TimeProvider.System);
        return await client.GetAsync("/version", FirecrackerJson.Default.VersionAnswer, CancellationToken.None, limit);
    }

    private static async Task<string> ReadRequestAsync(NetworkStream stream, CancellationToken stop)
    {
        // The head, then a body if one is announced: as a rule it comes with the head, or in the packet after it.
        var text = "";
        var buffer = new byte[4096];
        while (!text.Contains("\r\n\r\n", StringComparison.Ordinal) || (text.Contains("Content-Length", StringComparison.Ordinal) && text.EndsWith("\r\n\r\n", StringComparison.Ordinal)))
            text += Encoding.UTF8.GetString(buffer, 0, await stream.ReadAsync(buffer, stop));
        return text;
    }

    private static Task WriteAsync(NetworkStream stream, string text, CancellationToken stop) =>
        stream.WriteAsync(Encoding.UTF8.GetBytes(text), stop).AsTask();
}
