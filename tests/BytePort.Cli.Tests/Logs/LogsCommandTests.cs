using BytePort.Cli.Tests.Fakes;

namespace BytePort.Cli.Tests.Logs;

public sealed class LogsCommandTests
{
    [Fact]
    public async Task Logs_OfBuild_ReadsEveryPage()
    {
        await using var server = new FakeServer();
        server.On($"GET {FakePlatform.DeploymentPath}/logs", (context, request) => FakeServer.WriteJsonAsync(
            context,
            request.Query switch
            {
                "?from=0" => new { items = new[] { FakePlatform.Line(1, "one"), FakePlatform.Line(2, "two") }, next = 2, end = false },
                "?from=2" => new { items = new[] { FakePlatform.Line(3, "three") }, next = 3, end = true },
                _ => new { items = Array.Empty<object>(), next = 3, end = true },
            },
            200));
        using var cli = new Fakes.Cli(server);

        var (code, output, _) = await cli.RunAsync("logs", "shop", "--build", "7");

        Assert.Equal((0, "12:34:56  one\n12:34:56  two\n12:34:56  three\n"), (code, output));
    }

    [Fact]
    public async Task Logs_OfProcesses_PassesTailAndServiceOn()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/projects/shop/logs", new { items = new[] { new { offset = 5, time = "2026-01-01T12:34:56Z", service = "api", machine = "m", stream = "stdout", text = "\u001b]0;title\u0007hello\u001b[2J" } }, next = 5 });
        using var cli = new Fakes.Cli(server);

        var (code, output, _) = await cli.RunAsync("logs", "shop", "--service", "api", "--tail", "5");

        Assert.Equal((0, "12:34:56  api  hello\n"), (code, output));
        Assert.Equal("?tail=5&service=api", server.Requests[0].Query);
        Assert.Equal("{\"offset\":5,\"time\":\"2026-01-01T12:34:56+00:00\",\"stream\":\"stdout\",\"text\":\"\\u001B]0;title\\u0007hello\\u001B[2J\",\"step\":null,\"service\":\"api\",\"machine\":\"m\"}\n", (await cli.RunAsync("logs", "shop", "--json")).Out);
    }

    [Fact]
    public async Task Logs_Follow_ResumesAndEndsOnInterrupt()
    {
        await using var server = new FakeServer();
        using var cli = new Fakes.Cli(server);
        var connection = 0;
        server.On("GET /api/v1/projects/shop/logs", async (context, request) =>
        {
            if (++connection == 1)
            {
                await FakeServer.WriteEventAsync(context, "log", FakePlatform.Line(41, "one"), 41);
                context.Response.Abort();
                return;
            }

            Assert.Equal("41", request.Headers["Last-Event-ID"]);
            await FakeServer.WriteEventAsync(context, "log", FakePlatform.Line(42, "two"), 42);
            await Task.Delay(200, TestContext.Current.CancellationToken);
            cli.Interrupts.Raise();
            await Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken);
        });

        var (code, output, _) = await cli.RunAsync("logs", "shop", "--follow");

        Assert.Equal((130, "12:34:56  one\n12:34:56  two\n"), (code, output));
    }
}
