using BytePort.Cli.Tests.Fakes;

namespace BytePort.Cli.Tests.Login;

public sealed class ConnectionTests
{
    private static readonly object NoProjects = new { items = Array.Empty<object>() };

    private static string LoginPath(Fakes.Cli cli) => Path.Combine(cli.Home, ".config", "byteport", "login.json");

    [Fact]
    public async Task Login_TokenIsRight_IsKeptForTheOwnerOnly()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/projects", NoProjects);
        using var cli = new Fakes.Cli { Input = "  typed-token\n" };

        var (code, _, _) = await cli.RunAsync("login", server.Url, "--token-stdin");

        Assert.Equal(0, code);
        Assert.Equal("Bearer typed-token", server.Requests[0].Headers["Authorization"]);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(LoginPath(cli)));
        Assert.Equal(0, (await cli.RunAsync("projects")).Code);
        Assert.Equal("Bearer typed-token", server.Requests[1].Headers["Authorization"]);
    }

    [Fact]
    public async Task Login_TokenIsWrong_KeepsNothing()
    {
        await using var server = new FakeServer();
        server.OnProblem("GET /api/v1/projects", 401, "Not signed in", "", "unauthorized");
        using var cli = new Fakes.Cli { Input = "bad\n" };

        var (code, _, error) = await cli.RunAsync("login", server.Url, "--token-stdin");

        Assert.Equal(3, code);
        Assert.Contains("The token is not valid for", error, StringComparison.Ordinal);
        Assert.False(File.Exists(LoginPath(cli)));
    }

    [Fact]
    public async Task Url_OfAnotherServer_DoesNotGetTheFilesToken()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/projects", NoProjects);
        using var cli = new Fakes.Cli();
        cli.Write(".home/.config/byteport/login.json", """{"url":"http://127.0.0.1:1","token":"secret"}""");
        cli.Variables["BYTEPORT_URL"] = server.Url;

        await cli.RunAsync("projects");

        Assert.False(server.Requests[0].Headers.ContainsKey("Authorization"));
    }

    [Fact]
    public async Task UploadUrl_OfAnotherServer_DoesNotGetTheToken()
    {
        await using var server = new FakeServer();
        await using var other = new FakeServer();
        server.Deploys(FakePlatform.Deployment("live"));
        server.OnJson("POST /api/v1/uploads", new { id = "up-1", url = $"{other.Url}put", expiresAt = "2026-01-01T00:10:00Z" }, 201);
        other.OnJson("PUT /put", new { });
        using var cli = new Fakes.Cli(server);
        cli.Write("site/index.html");

        var (code, _, _) = await cli.RunAsync("deploy", "site", "--project", "shop", "--no-wait");

        Assert.Equal(0, code);
        Assert.False(Assert.Single(other.Requests).Headers.ContainsKey("Authorization"));
    }

    [Fact]
    public async Task Info_NotSignedIn_SaysSoAndExitsThree()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/info", new { name = "BytePort", version = "1.2.3", appDomain = "localhost", url = server.Url });
        server.OnProblem("GET /api/v1/projects", 401, "Not signed in", "", "unauthorized");
        using var cli = new Fakes.Cli();
        cli.Variables["BYTEPORT_URL"] = server.Url;

        var (code, output, _) = await cli.RunAsync("whoami", "--json");

        Assert.Equal(3, code);
        Assert.Contains("\"version\":\"1.2.3\"", output, StringComparison.Ordinal);
        Assert.Contains("\"signedIn\":false", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_NotListening_SaysHowToStartIt()
    {
        using var cli = new Fakes.Cli();
        cli.Variables["BYTEPORT_URL"] = $"http://127.0.0.1:{FakeServer.FreePort()}";

        var (code, _, error) = await cli.RunAsync("projects");

        Assert.Equal(5, code);
        Assert.Matches(@"^byteport: Nothing listens at http://127\.0\.0\.1:\d+\. Start BytePort with: \./byteport up\n$", error);
    }

    [Fact]
    public async Task Server_IsSomethingElse_SaysSo()
    {
        await using var server = new FakeServer();
        server.On("GET /api/v1/projects", async (context, _) => await context.Response.OutputStream.WriteAsync("<html>"u8.ToArray()));
        using var cli = new Fakes.Cli(server);

        var (code, _, error) = await cli.RunAsync("projects");

        Assert.Equal(1, code);
        Assert.Contains("Is it a BytePort server?", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("localhost:8080")]
    [InlineData("ftp://example.org")]
    [InlineData("http://user:password@example.org")]
    public async Task Url_Wrong_IsUsageError(string url)
    {
        using var cli = new Fakes.Cli();
        cli.Variables["BYTEPORT_URL"] = url;

        Assert.Equal(2, (await cli.RunAsync("projects")).Code);
    }
}
