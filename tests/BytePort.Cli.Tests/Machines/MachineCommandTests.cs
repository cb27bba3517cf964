using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using BytePort.Cli.Tests.Fakes;

namespace BytePort.Cli.Tests.Machines;

public sealed class MachineCommandTests
{
    private const string Hac = """
        [spacecore]
        name = "web-1"
        [hardware]
        cores = 2
        memory = "1G"
        ref = "node@22"
        """;

    private static readonly object Machine = new
    {
        id = "abc123",
        name = "web-1",
        state = "running",
        driver = "qemu",
        accelerated = false,
        address = "10.77.0.2",
        cpus = 2,
        memoryMiB = 1024,
        startedAt = "2026-01-01T00:00:00Z",
        restarts = 0,
        image = "node@22",
    };

    [Fact]
    public async Task Spawn_File_SendsItAndPrintsTheId()
    {
        await using var server = new FakeServer();
        server.OnJson("POST /api/v1/machines", Machine, 201);
        using var cli = new Fakes.Cli(server);
        cli.Write("my.toml", Hac);

        var (code, output, _) = await cli.RunAsync("machine", "spawn", "-f", "my.toml", "--driver", "qemu", "-e", "A=b=c", "-e", "D=", "-p", "8081:80", "--", "node", "-e", "1");

        Assert.Equal((0, "abc123\n"), (code, output));
        Assert.Equal(
            """{"name":"web-1","ref":"node@22","description":null,"cores":2,"memoryMiB":1024,"driveBytes":10737418240,"kernel":"default","interfaces":["default"],"driver":"qemu","command":["node","-e","1"],"environment":{"A":"b=c","D":""},"ports":{"8081":80},"dryRun":false}""",
            JsonNode.Parse(Assert.Single(server.Requests).Text)!.ToJsonString());
        Assert.Contains("\"id\":\"abc123\"", (await cli.RunAsync("machine", "spawn", "-f", "my.toml", "--json")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Spawn_Limits_OfTheOptionsGoOverThoseOfTheFile()
    {
        await using var server = new FakeServer();
        server.OnJson("POST /api/v1/machines", Machine, 201);
        using var cli = new Fakes.Cli(server);
        cli.Write("hac.toml", $"{Hac}\nnested_virtualization = true\n[limits]\nsend_bits = '100M'\nread_bytes = '50M'\n");

        Assert.Equal(0, (await cli.RunAsync("machine", "spawn", "--limit", "send_bits=20M", "--limit", "write_operations=500")).Code);
        Assert.EndsWith(
            """
            "nestedVirtualization":true,"limits":{"receiveBits":null,"sendBits":20000000,"readBytes":52428800,"writeBytes":null,"readOperations":null,"writeOperations":500}}
            """,
            JsonNode.Parse(server.Requests[0].Text)!.ToJsonString(),
            StringComparison.Ordinal);
        var (code, _, error) = await cli.RunAsync("machine", "spawn", "--limit", "speed=1");
        Assert.Equal(2, code);
        Assert.Contains("--limit: 'speed' is no limit; choose one of receive_bits,", error, StringComparison.Ordinal);
        cli.Write("plain.toml", Hac);
        Assert.Equal(0, (await cli.RunAsync("machine", "spawn", "-f", "plain.toml", "--nested-virtualization")).Code);
        Assert.EndsWith("\"nestedVirtualization\":true}", server.Requests[1].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inspect_ShowsWhatItMayUse()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/machines/abc123", new
        {
            id = "abc123",
            name = "web-1",
            state = "running",
            driver = "qemu",
            accelerated = false,
            cpus = 2,
            memoryMiB = 1024,
            startedAt = "2026-01-01T00:00:00Z",
            restarts = 0,
            nestedVirtualization = true,
            limits = new { sendBits = 1_000_000_000L, readBytes = 52428800, writeOperations = 500 },
        });
        using var cli = new Fakes.Cli(server);

        var (code, output, _) = await cli.RunAsync("machine", "inspect", "abc123");

        var rows = output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))).ToList();
        Assert.Equal(0, code);
        Assert.Contains("limits send_bits=1G read_bytes=50M write_operations=500", rows);
        Assert.Contains("nested virtualization yes", rows);
        Assert.DoesNotContain(rows, row => row.StartsWith("template", StringComparison.Ordinal));
        Assert.Contains("\"sendBits\":1000000000", (await cli.RunAsync("machine", "inspect", "abc123", "--json")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Spawn_WrongFile_ReportsEveryErrorAndAsksNobody()
    {
        await using var server = new FakeServer();
        using var cli = new Fakes.Cli(server);
        cli.Write("hac.toml", "[spacecore]\nname = 'A'\n[hardwear]\n");

        var (code, output, error) = await cli.RunAsync("machine", "spawn");

        Assert.Equal((1, ""), (code, output));
        Assert.Contains("hac.toml:2:8: spacecore.name must be", error, StringComparison.Ordinal);
        Assert.Contains("hac.toml:3:2: Unknown key \"hardwear\". Did you mean \"hardware\"?", error, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
        Assert.Equal(4, (await cli.RunAsync("machine", "spawn", "-f", "none.toml")).Code);
        Assert.Equal(2, (await cli.RunAsync("machine", "spawn", "-f", cli.Write("right.toml", Hac), "-e", "=x")).Code);
        Assert.Equal(2, (await cli.RunAsync("machine", "spawn", "-f", "right.toml", "-p", "80")).Code);
    }

    [Fact]
    public async Task Clone_TakesASnapshot_RestoresAndDeletesIt()
    {
        await using var server = new FakeServer();
        server.OnJson("POST /api/v1/machines/abc123/snapshots", new { id = "s1", name = "web-1", driver = "qemu", cpus = 1, memoryMiB = 128, createdAt = "2026-01-01T00:00:00Z" }, 201);
        server.OnJson("POST /api/v1/snapshots/s1/restore", new { items = new[] { Machine, Machine } }, 201);
        server.OnJson("DELETE /api/v1/snapshots/s1", new { });
        using var cli = new Fakes.Cli(server);

        var (code, output, _) = await cli.RunAsync("machine", "clone", "abc123", "--count", "2", "--name", "copy");

        Assert.Equal((0, "abc123\nabc123\n"), (code, output));
        Assert.Equal("""{"name":"copy","count":2}""", server.Requests[1].Text);
        Assert.Equal(3, server.Requests.Count);
        var taken = await cli.RunAsync("machine", "snapshot", "abc123");
        Assert.Equal((0, "s1\n"), (taken.Code, taken.Out));
        server.OnJson("POST /api/v1/machines/abc123/snapshots", new { id = "s2", name = "web-1", driver = "qemu", cpus = 1, memoryMiB = 128, createdAt = "2026-01-01T00:00:00Z", parent = "s1", bytes = 5_000_000 }, 201);
        Assert.Equal("s2\n", (await cli.RunAsync("machine", "snapshot", "abc123", "--parent", "s1")).Out);
        Assert.Equal("?parent=s1", server.Requests[^1].Query);
    }

    [Theory]
    [InlineData("restore", "s1", "POST /api/v1/snapshots/s1/restore")]
    [InlineData("wake", "abc123", "POST /api/v1/machines/abc123/wake")]
    public async Task BootedInstead_IsSaid(string command, string id, string request)
    {
        await using var server = new FakeServer();
        var machine = new { id = "abc123", name = "web-1", state = "running", bootedInstead = "The memory is damaged." };
        server.OnJson(request, command == "wake" ? machine : new { items = new[] { machine } });
        using var cli = new Fakes.Cli(server);

        var (code, _, error) = await cli.RunAsync("machine", command, id);

        Assert.Equal(0, code);
        Assert.Contains("abc123 was booted with its saved disk instead: The memory is damaged.", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Network_ListCreateRemove_AskTheServer()
    {
        await using var server = new FakeServer();
        var network = new { name = "back", prefix = "10.78.0.0/24", createdAt = "2026-01-01T00:00:00Z", router = "r1", machines = new[] { "m1", "r1" } };
        server.OnJson("GET /api/v1/networks", new { items = new[] { network } });
        server.OnJson("POST /api/v1/networks", network, 201);
        server.OnJson("DELETE /api/v1/networks/back", new { });
        using var cli = new Fakes.Cli(server);

        var listed = await cli.RunAsync("network", "ls");
        Assert.Equal(0, listed.Code);
        Assert.Equal(["back", "10.78.0.0/24", "r1", "m1", "r1"], listed.Out.Split('\n')[1].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(0, (await cli.RunAsync("network", "create", "back")).Code);
        Assert.Equal("""{"name":"back"}""", server.Requests[1].Text);
        Assert.Equal(0, (await cli.RunAsync("network", "rm", "back")).Code);
        Assert.Equal("DELETE", server.Requests[2].Method);
    }

    [Fact]
    public async Task Spawn_Refused_SaysWhy()
    {
        await using var server = new FakeServer();
        server.OnProblem("POST /api/v1/machines", 422, "Not possible here", "There is no network 'back' here.", "machine_unsupported");
        using var cli = new Fakes.Cli(server);
        cli.Write("hac.toml", Hac);

        var (code, _, error) = await cli.RunAsync("machine", "spawn");

        Assert.Equal((1, "byteport: Not possible here: There is no network 'back' here. (machine_unsupported)\n"), (code, error));
    }

    [Fact]
    public async Task Ls_OnlyThoseByThemselves_AreShown()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/machines", new { items = new[] { Machine, new { id = "other", name = "shop", state = "running", project = "shop", restarts = 0 } } });
        using var cli = new Fakes.Cli(server);

        var (_, output, _) = await cli.RunAsync("machine", "ls");

        Assert.Matches(@"abc123\s+web-1\s+running\s+node@22\s+qemu\s+10\.77\.0\.2\s+2 CPU, 1024 MiB", output);
        Assert.DoesNotContain("other", output, StringComparison.Ordinal);
        Assert.Single(JsonNode.Parse((await cli.RunAsync("machine", "ls", "--json")).Out)!.AsArray());
    }

    [Fact]
    public async Task PauseResumeStopRm_AskTheServer()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/machines/abc123", Machine);
        foreach (var request in (string[])["pause", "resume", "suspend", "wake"])
            server.OnJson($"POST /api/v1/machines/abc123/{request}", Machine);
        foreach (var request in (string[])["POST /api/v1/machines/abc123/stop", "DELETE /api/v1/machines/abc123"])
            server.On(request, (context, _) => Task.FromResult(context.Response.StatusCode = 204));
        using var cli = new Fakes.Cli(server);

        Assert.Equal((0, "", "abc123 is running.\n"), await cli.RunAsync("machine", "pause", "abc123"));
        foreach (var change in (string[])["resume", "suspend", "wake"])
            Assert.Equal(0, (await cli.RunAsync("machine", change, "abc123")).Code);
        Assert.Equal((0, "", "Removed abc123 (web-1).\n"), await cli.RunAsync("machine", "stop", "abc123", "--grace", "5"));
        Assert.Contains("\"state\":\"stopped\"", (await cli.RunAsync("machine", "rm", "abc123", "--json")).Out, StringComparison.Ordinal);
        Assert.Contains(server.Requests, request => request is { Path: "/api/v1/machines/abc123/stop", Query: "?grace=5" });
        Assert.Equal(4, (await cli.RunAsync("machine", "rm", "../projects/shop")).Code);
        Assert.DoesNotContain(server.Requests, request => request.Path.Contains("projects", StringComparison.Ordinal) && !request.Path.Contains("..%2F", StringComparison.Ordinal) && !request.Path.StartsWith("/api/v1/machines/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task StatsAndDrivers_AreTables()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/machines/abc123/stats", new { cpuSeconds = 1.25, uptimeSeconds = 60, memoryUsed = 52428800, memoryTotal = 104857600, diskUsed = 0, diskTotal = 1048576, networkReceived = 0, networkSent = 0 });
        server.OnJson("GET /api/v1/machines/drivers", new { items = new[] { new { name = "qemu", usable = true, accelerated = false, reason = "there is no /dev/kvm" } } });
        using var cli = new Fakes.Cli(server);

        Assert.Contains("50.0 MiB of 100.0 MiB", (await cli.RunAsync("machine", "stats", "abc123")).Out, StringComparison.Ordinal);
        Assert.Matches(@"qemu\s+yes\s+no\s+there is no /dev/kvm", (await cli.RunAsync("machine", "drivers")).Out);
    }

    [Fact]
    public async Task Logs_Followed_EndWithTheProcess()
    {
        await using var server = new FakeServer();
        server.On("GET /api/v1/machines/abc123/logs", async (context, _) =>
        {
            await FakeServer.WriteEventAsync(context, "log", new { offset = 9, time = "2026-01-01T12:34:56Z", stream = "stdout", text = "\u001b[2Jhello" }, 9);
            await FakeServer.WriteEventAsync(context, "end", new { });
        });
        using var cli = new Fakes.Cli(server);

        Assert.Equal((0, "12:34:56  hello\n", ""), await cli.RunAsync("machine", "logs", "abc123", "-f"));
    }

    [Fact]
    public async Task Exec_Json_IsRunToItsEnd()
    {
        await using var server = new FakeServer();
        server.OnJson("POST /api/v1/machines/abc123/exec", new { exitCode = (int?)null, signal = 9, reason = "killed", output = "o", error = "", truncated = false });
        using var cli = new Fakes.Cli(server);

        var (code, output, _) = await cli.RunAsync("machine", "exec", "abc123", "--json", "-u", "app", "--", "ls", "-la");

        Assert.Equal((137, 9), (code, (int)JsonNode.Parse(output)!["signal"]!));
        var sent = JsonNode.Parse(server.Requests[0].Text)!;
        Assert.Equal(("[\"ls\",\"-la\"]", "app", 600), (sent["command"]!.ToJsonString(), (string?)sent["account"], (int)sent["seconds"]!));
    }

    [Fact]
    public async Task Exec_Interactive_CarriesBytesBothWays()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/machines/abc123", Machine);
        var received = new TaskCompletionSource<(string First, byte[] Input, string Control)>();
        server.On("GET /api/v1/machines/abc123/exec", async (context, _) =>
        {
            using var socket = (await context.AcceptWebSocketAsync(null)).WebSocket;
            var (first, input, control) = (await TakeAsync(socket), await TakeAsync(socket), await TakeAsync(socket));
            received.SetResult((Encoding.UTF8.GetString(first), input, Encoding.UTF8.GetString(control)));
            await socket.SendAsync(new byte[] { 1, 0, 255, 10 }, WebSocketMessageType.Binary, true, default);
            await socket.SendAsync(new byte[] { 2, 101 }, WebSocketMessageType.Binary, true, default);
            await socket.SendAsync("""{"exit":{"exitCode":42,"signal":null,"reason":"x"}}"""u8.ToArray(), WebSocketMessageType.Text, true, default);
        });
        using var cli = new Fakes.Cli(server) { InputBytes = [0, 1, 200] };

        var (code, output, error) = await cli.RunAsync("machine", "exec", "-i", "abc123", "--", "cat");

        Assert.Equal((42, "", ""), (code, output, error));
        Assert.Equal([0, 255, 10], cli.OutputBytes.ToArray());
        Assert.Equal("e"u8, cli.ErrorBytes.ToArray());
        var (started, typed, end) = await received.Task;
        Assert.Equal(("[\"cat\"]", true), (JsonNode.Parse(started)!["command"]!.ToJsonString(), (bool)JsonNode.Parse(started)!["input"]!));
        Assert.Equal([0, 1, 200], typed);
        Assert.True((bool)JsonNode.Parse(end)!["end"]!);
    }

    [Theory]
    [InlineData("""{"error":"Machine abc123 is paused; resume it first."}""", "Machine abc123 is paused; resume it first.")]
    [InlineData("""{}""", "The server ended the connection without saying why.")]
    [InlineData("nonsense", "The connection to the machine broke off: what the server says is not BytePort's")]
    public async Task Attach_Refused_SaysWhy(string last, string message)
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/machines/abc123", Machine);
        server.On("GET /api/v1/machines/abc123/exec", async (context, request) =>
        {
            Assert.Empty(request.Body);
            using var socket = (await context.AcceptWebSocketAsync(null)).WebSocket;
            _ = await TakeAsync(socket);
            await socket.SendAsync(Encoding.UTF8.GetBytes(last), WebSocketMessageType.Text, true, default);
        });
        using var cli = new Fakes.Cli(server);

        var (code, _, error) = await cli.RunAsync("machine", "attach", "abc123");

        Assert.NotEqual(0, code);
        Assert.Equal($"byteport: {message}\n", error);
    }

    [Fact]
    public async Task Exec_NoSuchMachine_IsNotFound()
    {
        await using var server = new FakeServer();
        using var cli = new Fakes.Cli(server);

        Assert.Equal(4, (await cli.RunAsync("machine", "exec", "nope", "--", "true")).Code);
    }

    private static async Task<byte[]> TakeAsync(WebSocket socket)
    {
        var buffer = new byte[10_000];
        var received = await socket.ReceiveAsync(buffer, default);
        return buffer[..received.Count];
    }
}
