using System.Text;
using System.Text.Json.Nodes;
using BytePort.Cli.Tests.Fakes;

namespace BytePort.Cli.Tests.Images;

public sealed class ImageCommandTests
{
    private static readonly object Node = new
    {
        kind = "stack",
        reference = "node@22.1.0",
        digest = "0123456789abcdef",
        size = 200_000_000,
        lastUsed = "2026-01-01T00:00:00Z",
        pinned = true,
        @private = false,
        neededBy = new[] { "deployment 3 of shop" },
    };

    [Fact]
    public async Task Ls_Images_ShowsWhatNeedsThem()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/images", new { items = new[] { Node }, problems = new[] { "stacks/x.yaml:1: bad" } });
        using var cli = new Fakes.Cli(server);

        var (code, output, error) = await cli.RunAsync("image", "ls");
        Assert.Equal(0, code);
        Assert.Contains("node@22.1.0   0123456789abcdef   190.7 MiB", output, StringComparison.Ordinal);
        Assert.Contains("pinned, deployment 3 of shop", output, StringComparison.Ordinal);
        Assert.Contains("stacks/x.yaml:1: bad", error, StringComparison.Ordinal);
        Assert.Contains("\"neededBy\":[\"deployment 3 of shop\"]", (await cli.RunAsync("image", "ls", "--json")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pull_Credentials_AreReadFromInputAndSent()
    {
        await using var server = new FakeServer();
        Events(server, "POST /api/v1/images/pull", ("progress", """{"text":"Fetching app"}"""), ("image", """{"kind":"oci","reference":"ghcr.io/a/b:1","digest":"sha256:12","size":1,"lastUsed":"2026-01-01T00:00:00Z","pinned":false,"private":true,"neededBy":[]}"""));
        using var cli = new Fakes.Cli(server) { Input = "secret-word\n" };

        var (code, output, error) = await cli.RunAsync("image", "pull", "ghcr.io/a/b:1", "--username", "me", "--password-stdin", "--pin");
        Assert.Equal((0, "sha256:12\n"), (code, output));
        Assert.Equal("Fetching app\n", error);
        var request = Assert.Single(server.Requests);
        Assert.Equal("""{"reference":"ghcr.io/a/b:1","username":"me","password":"secret-word","pin":true}""", JsonNode.Parse(request.Text)!.ToJsonString());
        Assert.Equal("text/event-stream", request.Headers["Accept"]);
    }

    [Fact]
    public async Task Pull_WithoutTerminal_AsksForNoPassword()
    {
        await using var server = new FakeServer();
        using var cli = new Fakes.Cli(server);
        Assert.Equal(2, (await cli.RunAsync("image", "pull", "a", "--username", "me")).Code);
        Assert.Equal(2, (await cli.RunAsync("image", "pull", "a", "--password-stdin")).Code);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task Build_FileAndFailure_SendsTheRecipeAndSaysWhy()
    {
        await using var server = new FakeServer();
        Events(server, "POST /api/v1/images/build", ("error", """{"title":"The request cannot be used","detail":"mine.yaml:1: 'version' is missing","code":"image_invalid"}"""));
        using var cli = new Fakes.Cli(server);
        cli.Write("mine.yaml", "on: base\n");

        var (code, output, error) = await cli.RunAsync("image", "build", "-f", "mine.yaml");
        Assert.Equal((1, ""), (code, output));
        Assert.Contains("mine.yaml:1: 'version' is missing (image_invalid)", error, StringComparison.Ordinal);
        Assert.Equal("""{"reference":"mine","recipe":"on: base\n"}""", JsonNode.Parse(Assert.Single(server.Requests).Text)!.ToJsonString());
        Assert.Equal(4, (await cli.RunAsync("image", "build", "-f", "other.yaml")).Code);
        Assert.Equal(2, (await cli.RunAsync("image", "build")).Code);
        Assert.Equal(2, (await cli.RunAsync("image", "build", "base", "-f", "mine.yaml")).Code);
    }

    [Fact]
    public async Task Build_StreamThatBreaksOff_IsAFailure()
    {
        await using var server = new FakeServer();
        Events(server, "POST /api/v1/images/build", ("progress", """{"text":"Making"}"""));
        using var cli = new Fakes.Cli(server);
        var (code, _, error) = await cli.RunAsync("image", "build", "base");
        Assert.Equal(5, code);
        Assert.Contains("broke off", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Gc_DryRun_SaysWhatWouldGo()
    {
        await using var server = new FakeServer();
        server.OnJson("POST /api/v1/images/gc", new { items = new[] { new { kind = "layer", name = "abc.erofs", bytes = 5 << 20 } }, bytes = 5 << 20, dryRun = true });
        using var cli = new Fakes.Cli(server);

        var (code, output, error) = await cli.RunAsync("image", "gc", "--dry-run", "--older-than", "12h");
        Assert.Equal(0, code);
        Assert.Contains("layer   5.0 MiB   abc.erofs", output, StringComparison.Ordinal);
        Assert.Equal("Would free 5.0 MiB.\n", error);
        Assert.Equal("""{"dryRun":true,"olderThanSeconds":43200}""", JsonNode.Parse(Assert.Single(server.Requests).Text)!.ToJsonString());
        Assert.Equal(2, (await cli.RunAsync("image", "gc", "--older-than", "soon")).Code);
    }

    [Fact]
    public async Task RmPinAndUnpin_Reference_IsEscaped()
    {
        await using var server = new FakeServer();
        server.OnJson("DELETE /api/v1/images", new { items = Array.Empty<object>(), bytes = 0, dryRun = false });
        server.OnJson("POST /api/v1/images/pins", new { references = new[] { "node@22.1.0+0123456789abcdef" } });
        server.OnJson("DELETE /api/v1/images/pins", new { });
        using var cli = new Fakes.Cli(server);

        Assert.Equal(0, (await cli.RunAsync("image", "rm", "node@22.1.0+0123456789abcdef")).Code);
        Assert.Contains("Pinned node@22.1.0+0123456789abcdef.", (await cli.RunAsync("image", "pin", "node@22.1.0")).Error, StringComparison.Ordinal);
        Assert.Equal(0, (await cli.RunAsync("image", "unpin", "a/b:1")).Code);
        Assert.Equal("?reference=node%4022.1.0%2B0123456789abcdef", server.Requests[0].Query);
        Assert.Equal("?reference=a%2Fb%3A1", server.Requests[^1].Query);
    }

    private static void Events(FakeServer server, string request, params (string Type, string Data)[] events) => server.On(request, async (context, _) =>
    {
        context.Response.ContentType = "text/event-stream";
        await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(string.Concat(events.Select(e => $"event: {e.Type}\ndata: {e.Data}\n\n"))));
    });
}
