using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using BytePort.Server.Tests.Platform;

namespace BytePort.Server.Tests.Machines;

/// <summary>Commands over a web socket.</summary>
[Collection(nameof(SpawnedMachine))]
public sealed class MachineSocketTests(TestPlatform platform, SpawnedMachine machine)
{
    [Fact]
    public async Task Socket_Pipes_CarryInputOutputsAndTheEnd()
    {
        using var socket = await ConnectAsync();
        await SendAsync(socket, """{ "command": ["sh", "-c", "cat; echo done >&2; exit 4"], "input": true }""");
        await socket.SendAsync(Encoding.UTF8.GetBytes("some input\n"), WebSocketMessageType.Binary, true, TestContext.Current.CancellationToken);
        await SendAsync(socket, """{ "end": true }""");
        var (output, error, end) = await ReadAsync(socket);

        Assert.Equal(("some input\n", "done\n"), (output, error));
        Assert.Equal("""{"exit":{"exitCode":4,"signal":null,"reason":"The process exited with code 4."},"error":null}""", end);
    }

    [Fact]
    public async Task Socket_Terminal_HasItsSizeAndTakesSignals()
    {
        using var socket = await ConnectAsync();
        await SendAsync(socket, """{ "command": ["sh", "-c", "stty size; read line; stty size; exec sleep 600"], "terminal": { "columns": 91, "rows": 17 } }""");
        var before = await ReadAsync(socket, "\r\n");
        await SendAsync(socket, """{ "resize": { "columns": 60, "rows": 20 } }""");
        await socket.SendAsync(Encoding.UTF8.GetBytes("go\n"), WebSocketMessageType.Binary, true, TestContext.Current.CancellationToken);
        var after = await ReadAsync(socket, "20 60\r\n");
        await SendAsync(socket, """{ "signal": 9 }""");
        var end = await ReadAsync(socket);

        Assert.Equal(("17 91\r\n", "go\r\n20 60\r\n", ""), (before.Output, after.Output, end.Output));
        Assert.Contains("\"signal\":9", end.End, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nonsense", "A message is not what the protocol says.")]
    [InlineData("null", "The first message must be a text that says what to run.")]
    [InlineData("""{ "command": [""] }""", "The command's program is empty.")]
    public async Task Socket_WrongFirstMessage_SaysWhat(string first, string expected)
    {
        using var socket = await ConnectAsync();
        await SendAsync(socket, first);

        Assert.Equal(expected, (string?)JsonNode.Parse((await ReadAsync(socket)).End)!["error"]);
    }

    [Fact]
    public async Task Socket_CallerLeaves_KillsTheProcess()
    {
        using (var socket = await ConnectAsync())
        {
            await SendAsync(socket, """{ "command": ["sh", "-c", "echo on; exec sleep 777"] }""");
            _ = await socket.ReceiveAsync(new byte[100], TestContext.Current.CancellationToken);
            socket.Abort();
        }

        for (var tries = 0; (string?)(await machine.ExecAsync(new { command = new[] { "sh", "-c", "pgrep -f '^sleep 777' || true" } }))["output"] != ""; tries++)
            Assert.True(tries < 50, "It still runs.");
    }

    [Fact]
    public async Task Socket_FromAForeignPage_IsRefused()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{machine.Path}/exec");
        request.Headers.TryAddWithoutValidation("Connection", "Upgrade");
        request.Headers.TryAddWithoutValidation("Upgrade", "websocket");
        request.Headers.TryAddWithoutValidation("Sec-WebSocket-Version", "13");
        request.Headers.TryAddWithoutValidation("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        request.Headers.TryAddWithoutValidation("Origin", "https://elsewhere.example");
        using var response = await platform.Http.SendAsync(request);

        var problem = await response.Content.ReadFromJsonAsync<JsonNode>();
        Assert.Equal((HttpStatusCode.Forbidden, "foreign_origin"), (response.StatusCode, (string?)problem!["code"]));
    }

    private async Task<ClientWebSocket> ConnectAsync()
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", $"Bearer {platform.Token}");
        await socket.ConnectAsync(new UriBuilder(new Uri(platform.Options.Url, $"{machine.Path}/exec")) { Scheme = "ws" }.Uri, TestContext.Current.CancellationToken);
        return socket;
    }

    private static Task SendAsync(WebSocket socket, string text) =>
        socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, TestContext.Current.CancellationToken);

    /// <summary>Everything until the socket closes, or until the output ends as given.</summary>
    private static async Task<(string Output, string Error, string End)> ReadAsync(ClientWebSocket socket, string? until = null)
    {
        var (output, error, end) = ("", "", "");
        var buffer = new byte[100_000];
        while (until is null || !output.EndsWith(until, StringComparison.Ordinal))
        {
            var received = await socket.ReceiveAsync(buffer, TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20));
            if (received.MessageType == WebSocketMessageType.Close)
                return (output, error, end);
            Assert.True(received.EndOfMessage);
            if (received.MessageType == WebSocketMessageType.Text)
                end += Encoding.UTF8.GetString(buffer, 0, received.Count);
            else if (buffer[0] == 2)
                error += Encoding.UTF8.GetString(buffer, 1, received.Count - 1);
            else
                output += Encoding.UTF8.GetString(buffer, 1, received.Count - 1);
        }

        return (output, error, end);
    }
}
