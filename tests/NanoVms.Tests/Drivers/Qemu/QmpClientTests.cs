using System.Net.Sockets;
using System.Text;
using NanoVms.Commands;
using NanoVms.Drivers.Qemu;

namespace NanoVms.Tests.Drivers.Qemu;

/// <summary>The client against a hand-written monitor at the other end of a real socket.</summary>
public sealed class QmpClientTests : IDisposable
{
    private const string Greeting = """{"QMP": {"version": {}, "capabilities": []}}""";
    private readonly Stream _mine;
    private readonly StreamReader _commands;
    private readonly Socket _theirs;
    private readonly List<string> _events = [];

    public QmpClientTests()
    {
        var (mine, other) = UnixSockets.CreatePair();
        _mine = new NetworkStream(mine, ownsSocket: true);
        _theirs = new Socket(other);
        _commands = new StreamReader(new NetworkStream(_theirs));
    }

    public void Dispose()
    {
        _mine.Dispose();
        _commands.Dispose();
        _theirs.Dispose();
    }

    [Fact]
    public async Task Execute_AnswerAmongEvents_IsTheAnswer()
    {
        await using var client = await ConnectAsync();
        var answer = client.ExecuteAsync("query-status", null, CancellationToken.None);
        Assert.Equal("""{"execute":"query-status","id":2}""", await _commands.ReadLineAsync());
        await SendAsync("""{"event": "STOP", "timestamp": {}}""", """{"return": {}, "id": 99}""", """{"return": {"status": "paused"}, "id": 2}""");

        Assert.Equal("paused", (await answer).GetProperty("status").GetString());
        Assert.Equal(["STOP"], _events);
    }

    [Fact]
    public async Task Execute_Refused_CarriesTheReason()
    {
        await using var client = await ConnectAsync();
        var answer = client.ExecuteAsync("ringbuf-read", new Dictionary<string, object> { ["size"] = 3, ["device"] = "a\"b" }, CancellationToken.None);
        Assert.Equal("""{"execute":"ringbuf-read","id":2,"arguments":{"size":3,"device":"a\u0022b"}}""", await _commands.ReadLineAsync());
        await SendAsync("""{"error": {"class": "GenericError", "desc": "no such device"}, "id": 2}""");

        Assert.Contains("no such device", (await Assert.ThrowsAsync<QmpException>(() => answer)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Execute_MonitorGone_FailsAtOnce()
    {
        await using var client = await ConnectAsync();
        var answer = client.ExecuteAsync("stop", null, CancellationToken.None);
        _ = await _commands.ReadLineAsync();
        _theirs.Shutdown(SocketShutdown.Both);

        _ = await Assert.ThrowsAsync<QmpException>(() => answer);
        await client.Closed;
        _ = await Assert.ThrowsAsync<QmpException>(() => client.ExecuteAsync("cont", null, CancellationToken.None));
    }

    [Fact]
    public async Task Execute_NoAnswer_EndsInTime()
    {
        await using var client = await ConnectAsync();
        var failure = await Assert.ThrowsAsync<QmpException>(
            () => client.ExecuteAsync("stop", null, CancellationToken.None, TimeSpan.FromMilliseconds(50)));
        Assert.Contains("did not answer 'stop'", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no json\n")]
    [InlineData("[1]\n")]
    public async Task Read_Nonsense_Closes(string nonsense)
    {
        await using var client = await ConnectAsync();
        _ = await _theirs.SendAsync(Encoding.UTF8.GetBytes(nonsense));
        await client.Closed.WaitAsync(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Read_EndlessMessage_Closes()
    {
        await using var client = await ConnectAsync();
        var block = Encoding.UTF8.GetBytes(new string('x', 64 * 1024));
        try
        {
            for (var i = 0; i < 64; i++)
                _ = await _theirs.SendAsync(block);
        }
        catch (SocketException)
        {
            // Closed at the limit, as it should be.
        }

        await client.Closed.WaitAsync(TimeSpan.FromSeconds(5));
    }

    private async Task<QmpClient> ConnectAsync()
    {
        await SendAsync(Greeting);
        var connecting = QmpClient.ConnectAsync(_mine, happened => _events.Add(happened.Name), TimeProvider.System, CancellationToken.None);
        Assert.Equal("""{"execute":"qmp_capabilities","id":1}""", await _commands.ReadLineAsync());
        await SendAsync("""{"return": {}, "id": 1}""");
        return await connecting;
    }

    private async Task SendAsync(params string[] lines) =>
        _ = await _theirs.SendAsync(Encoding.UTF8.GetBytes(string.Join("\r\n", lines) + "\r\n"));
}
