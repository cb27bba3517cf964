using System.Formats.Tar;
using System.IO.Compression;
using System.Text.Json.Nodes;
using BytePort.Cli.Tests.Fakes;

namespace BytePort.Cli.Tests.Deployments;

public sealed class DeployCommandTests
{
    [Fact]
    public async Task Deploy_FolderBecomesLive_PrintsOneLineAndExitsZero()
    {
        await using var server = new FakeServer();
        server.Deploys(FakePlatform.Deployment("live", serving: true), FakePlatform.Line(1, "npm ci"));
        using var cli = new Fakes.Cli(server);
        cli.Write("site/index.html", "<h1>hi</h1>");

        var (code, output, error) = await cli.RunAsync("deploy", "site", "--project", "shop", "--json");

        Assert.Equal(0, code);
        Assert.Equal(
            """{"project":"shop","deployment":7,"status":"live","url":"http://shop.localhost:8080","serving":true,"reason":null,"code":null,"commit":"0123456789abcdef","services":[{"name":"web","kind":"static"}],"seconds":5.25}""",
            output.TrimEnd('\n'));
        Assert.Contains("12:34:56  npm ci\n", error, StringComparison.Ordinal);
        Assert.Equal(
            ["POST /api/v1/uploads", "PUT /api/v1/uploads/up-1/x", "POST /api/v1/projects/shop/deployments", $"GET {FakePlatform.DeploymentPath}/logs", $"GET {FakePlatform.DeploymentPath}"],
            server.Asked);
        Assert.All(server.Requests, request => Assert.Equal("Bearer secret-token", request.Headers["Authorization"]));
        Assert.Equal("""{"source":{"git":null,"upload":{"id":"up-1"}}}""", server.Requests[2].Text);
        Assert.Equal("index.html=<h1>hi</h1>", Assert.Single(Unpack(server.Requests[1].Body)));
    }

    [Fact]
    public async Task Deploy_Fails_SaysWhyAndExitsOne()
    {
        await using var server = new FakeServer();
        server.Deploys(FakePlatform.Deployment("failed", "npm ci ended with exit code 1.", "build_failed"), FakePlatform.Line(1, "no such package", "stderr"));
        using var cli = new Fakes.Cli(server);
        cli.Write("site/index.html");

        var (code, output, error) = await cli.RunAsync("deploy", "site", "--project", "shop");

        Assert.Equal(1, code);
        Assert.Equal("", output);
        Assert.Contains("Deployment 7 of shop is failed after 5.3 s: npm ci ended with exit code 1 (build_failed).\n", error, StringComparison.Ordinal);
        Assert.Contains("byteport logs shop --build 7", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Deploy_QuietFails_ShowsTheLastLines()
    {
        await using var server = new FakeServer();
        server.Deploys(FakePlatform.Deployment("failed", "Out of memory.", "out_of_memory"), [.. Enumerable.Range(1, 50).Select(number => FakePlatform.Line(number, $"line {number}"))]);
        using var cli = new Fakes.Cli(server);

        var (code, output, error) = await cli.RunAsync("deploy", "https://example.org/shop.git", "--quiet", "--json");

        Assert.Equal(1, code);
        Assert.Equal("out_of_memory", (string?)JsonNode.Parse(output)!["code"]);
        var lines = error.Split('\n');
        Assert.Equal(["12:34:56  line 31", "12:34:56  line 50"], [lines[0], lines[19]]);
        Assert.StartsWith("Deployment 7 of shop is failed", lines[20], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Deploy_StreamBreaks_GoesOnBehindTheLastLine()
    {
        await using var server = new FakeServer();
        server.Deploys(FakePlatform.Deployment("live"));
        server.OnEach($"GET {FakePlatform.DeploymentPath}", FakePlatform.Deployment("building"), FakePlatform.Deployment("live"));
        var connection = 0;
        server.On($"GET {FakePlatform.DeploymentPath}/logs", async (context, request) =>
        {
            switch (++connection)
            {
                case 1:
                    await FakeServer.WriteEventAsync(context, "log", FakePlatform.Line(1, "one"), 1);
                    await FakeServer.WriteEventAsync(context, "log", FakePlatform.Line(2, "two"), 2);
                    context.Response.Abort();
                    break;
                case 2:
                    await FakeServer.WriteJsonAsync(context, new { title = "Starting" }, 503);
                    break;
                default:
                    Assert.Equal("2", request.Headers["Last-Event-ID"]);
                    await FakeServer.WriteEventAsync(context, "log", FakePlatform.Line(2, "two"), 2);
                    await FakeServer.WriteEventAsync(context, "log", FakePlatform.Line(3, "three"), 3);
                    await FakeServer.WriteEventAsync(context, "end", new { });
                    break;
            }
        });
        using var cli = new Fakes.Cli(server);

        var (code, output, error) = await cli.RunAsync("deploy", "https://example.org/shop.git");

        Assert.Equal(0, code);
        Assert.Equal("http://shop.localhost:8080\n", output);
        Assert.Equal(["one", "two", "three"], error.Split('\n').Where(line => line.StartsWith("12:34:56", StringComparison.Ordinal)).Select(line => line[10..]));
    }

    [Fact]
    public async Task Deploy_GitUrl_SendsUrlAndRef()
    {
        await using var server = new FakeServer();
        server.Deploys(FakePlatform.Deployment("live"));
        using var cli = new Fakes.Cli(server);

        var (code, output, _) = await cli.RunAsync("deploy", "git@example.org:team/shop.git", "--ref", "v1", "--no-wait");

        Assert.Equal(0, code);
        Assert.Equal("7\n", output);
        var body = JsonNode.Parse(Assert.Single(server.Requests).Text)!;
        Assert.Equal("ssh://git@example.org/team/shop.git", (string?)body["source"]!["git"]!["url"]);
        Assert.Equal("v1", (string?)body["source"]!["git"]!["ref"]);
    }

    [Fact]
    public async Task Deploy_Archive_SendsItAsItIs()
    {
        await using var server = new FakeServer();
        server.Deploys(FakePlatform.Deployment("live"));
        using var cli = new Fakes.Cli(server);
        cli.Write("site/index.html", "hi");
        var zip = Path.Combine(cli.Folder, "shop.zip");
        await ZipFile.CreateFromDirectoryAsync(Path.Combine(cli.Folder, "site"), zip, TestContext.Current.CancellationToken);

        var (code, _, _) = await cli.RunAsync("deploy", "shop.zip", "--no-wait");

        Assert.Equal(0, code);
        Assert.Equal(await File.ReadAllBytesAsync(zip, TestContext.Current.CancellationToken), server.Requests[1].Body);
    }

    [Fact]
    public async Task Deploy_Interrupted_AsksToCancelAndExits130()
    {
        await using var server = new FakeServer();
        server.Deploys(FakePlatform.Deployment("canceled"));
        using var cli = new Fakes.Cli(server);
        var canceled = new TaskCompletionSource();
        server.On($"POST {FakePlatform.DeploymentPath}/cancel", (context, _) =>
        {
            canceled.SetResult();
            return FakeServer.WriteJsonAsync(context, FakePlatform.Deployment("building"), 202);
        });
        server.On($"GET {FakePlatform.DeploymentPath}/logs", async (context, _) =>
        {
            await FakeServer.WriteEventAsync(context, "log", FakePlatform.Line(1, "one"), 1);
            cli.Interrupts.Raise();
            await canceled.Task;
            await FakeServer.WriteEventAsync(context, "end", new { });
        });

        var (code, output, error) = await cli.RunAsync("deploy", "https://example.org/shop.git", "--json");

        Assert.Equal(130, code);
        Assert.Equal("canceled", (string?)JsonNode.Parse(output)!["status"]);
        Assert.Contains("Canceling the deployment", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Deploy_InterruptedTwice_LeavesAtOnce()
    {
        await using var server = new FakeServer();
        server.Deploys(FakePlatform.Deployment("building"));
        using var cli = new Fakes.Cli(server);
        server.On($"POST {FakePlatform.DeploymentPath}/cancel", (_, _) => Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken));
        server.On($"GET {FakePlatform.DeploymentPath}/logs", async (context, _) =>
        {
            await FakeServer.WriteEventAsync(context, "log", FakePlatform.Line(1, "one"), 1);
            cli.Interrupts.Raise();
            cli.Interrupts.Raise();
            await Task.Delay(Timeout.Infinite, TestContext.Current.CancellationToken);
        });

        var (code, _, error) = await cli.RunAsync("deploy", "https://example.org/shop.git");

        Assert.Equal(130, code);
        Assert.Contains("Left deployment 7 to itself", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Deploy_BrokenManifest_ShowsEveryErrorAndSendsNothing()
    {
        await using var server = new FakeServer();
        using var cli = new Fakes.Cli(server);
        cli.Write("byteport.yaml", "nmae: x\nservices: 1\n");

        var (code, _, error) = await cli.RunAsync("deploy");

        Assert.Equal(1, code);
        Assert.Contains("The manifest has 2 errors:\nbyteport.yaml:1:1: Unknown key \"nmae\". Did you mean \"name\"?\n", error, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
    }

    [Theory]
    [InlineData("file:///etc", "only http, https and ssh")]
    [InlineData("ext::sh -c id://x", "only http, https and ssh")]
    [InlineData("nowhere", "is no folder, archive or Git URL")]
    [InlineData("notes.txt", "neither a zip nor a tar.gz")]
    public async Task Deploy_WrongSource_ExitsTwoAndSendsNothing(string source, string message)
    {
        await using var server = new FakeServer();
        using var cli = new Fakes.Cli(server);
        cli.Write("notes.txt", "text");

        var (code, _, error) = await cli.RunAsync("deploy", source);

        Assert.Equal(2, code);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task Deploy_UploadRefused_ShowsTheProblem()
    {
        await using var server = new FakeServer();
        server.Deploys(FakePlatform.Deployment("live"));
        server.OnProblem("PUT /api/v1/uploads/up-1/x", 413, "Too large", "An archive may have at most 500 MiB.", "upload_too_large");
        using var cli = new Fakes.Cli(server);
        cli.Write("site/index.html");

        var (code, _, error) = await cli.RunAsync("deploy", "site");

        Assert.Equal(1, code);
        Assert.Contains("byteport: Too large: An archive may have at most 500 MiB. (upload_too_large)\n", error, StringComparison.Ordinal);
    }

    private static List<string> Unpack(byte[] archive)
    {
        using var reader = new TarReader(new GZipStream(new MemoryStream(archive), CompressionMode.Decompress));
        var entries = new List<string>();
        while (reader.GetNextEntry() is { } entry)
        {
            using var text = new StreamReader(entry.DataStream ?? Stream.Null);
            entries.Add($"{entry.Name}={text.ReadToEnd()}{entry.LinkName}");
        }

        return entries;
    }
}
