using BytePort.Cli.Projects;
using BytePort.Cli.Tests.Fakes;
using FsCheck;
using FsCheck.Fluent;

namespace BytePort.Cli.Tests.Projects;

public sealed class ProjectCommandsTests
{
    private static readonly object Shop = new
    {
        name = "shop",
        status = "live",
        url = "http://shop.localhost:8080",
        createdAt = "2026-01-01T00:00:00Z",
        services = new[]
        {
            new { name = "api", kind = "web", routes = new[] { "/api" }, status = "running", instances = new[] { new { machine = "m1", status = "healthy", restarts = 2 } } },
        },
        live = FakePlatform.Deployment("live"),
        latest = FakePlatform.Deployment("live"),
    };

    [Fact]
    public async Task Projects_SeveralPages_AreAllListed()
    {
        await using var server = new FakeServer();
        server.On("GET /api/v1/projects", (context, request) => FakeServer.WriteJsonAsync(
            context, request.Query.Contains("cursor=a%20b", StringComparison.Ordinal) ? new { items = new[] { Shop }, next = (string?)null } : new { items = new[] { Shop }, next = (string?)"a b" }, 200));
        using var cli = new Fakes.Cli(server);

        var (code, output, _) = await cli.RunAsync("projects");

        Assert.Equal(0, code);
        Assert.Equal(3, output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Matches(@"shop +live +\d+ . ago +http://shop\.localhost:8080", output);
    }

    [Fact]
    public async Task Status_WithoutName_MeansTheFoldersProject()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/projects/shop", Shop);
        using var cli = new Fakes.Cli(server);
        cli.Write("byteport.yaml", "name: shop\n");

        var (code, output, _) = await cli.RunAsync("status");

        Assert.Equal(0, code);
        Assert.Matches(@"api +web +running +/api +m1 healthy, 2 restarts", output);
    }

    [Fact]
    public async Task Destroy_WithoutTerminal_NeedsYes()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/projects/shop", Shop);
        server.On("DELETE /api/v1/projects/shop", (context, _) =>
        {
            context.Response.StatusCode = 204;
            return Task.CompletedTask;
        });
        using var cli = new Fakes.Cli(server);

        Assert.Equal(2, (await cli.RunAsync("destroy", "shop")).Code);
        Assert.DoesNotContain("DELETE /api/v1/projects/shop", server.Asked);
        Assert.Equal(0, (await cli.RunAsync("destroy", "shop", "--yes")).Code);
        Assert.Contains("DELETE /api/v1/projects/shop", server.Asked);
    }

    [Fact]
    public async Task Status_NoSuchProject_ExitsFour()
    {
        await using var server = new FakeServer();
        server.OnProblem("GET /api/v1/projects/nope", 404, "Not found", "There is no project 'nope' in your team.", "project_not_found");
        using var cli = new Fakes.Cli(server);

        var (code, output, error) = await cli.RunAsync("status", "nope", "--json");

        Assert.Equal((4, "", "byteport: Not found: There is no project 'nope' in your team. (project_not_found)\n"), (code, output, error));
    }

    [Fact]
    public async Task Open_UrlIsNotOfTheWeb_IsRefused()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/projects/shop", new { name = "shop", status = "live", createdAt = "2026-01-01T00:00:00Z", url = "file:///etc/passwd" });
        using var cli = new Fakes.Cli(server);

        Assert.Equal((1, ""), ((await cli.RunAsync("open", "shop")) is var (code, output, _) ? (code, output) : default));
    }

    [Fact]
    public async Task Machines_Json_IsAnArray()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/machines", new { items = new[] { new { id = "i", name = "shop-web", project = "shop", state = "running", cpus = 1, cpuLimit = 0.25, memoryMiB = 256, restarts = 0, accelerated = false, startedAt = "2026-01-01T00:00:00Z" } } });
        using var cli = new Fakes.Cli(server);

        var (code, output, _) = await cli.RunAsync("machines", "--json");

        Assert.Equal(0, code);
        Assert.StartsWith("[{\"id\":\"i\",\"name\":\"shop-web\",\"project\":\"shop\"", output, StringComparison.Ordinal);
        Assert.Matches("0.25 CPU, 256 MiB", (await cli.RunAsync("machines")).Out);
    }

    [Theory]
    [InlineData("My Shop", "my-shop")]
    [InlineData("shop.git", "shop-git")]
    [InlineData("2048", "app-2048")]
    [InlineData("żółć", "app")]
    [InlineData("--a__b--", "a-b")]
    public void Normalize_Name_IsAName(string text, string expected) => Assert.Equal(expected, ProjectName.Normalize(text));

    [Fact]
    public void Normalize_AnyText_IsAName() => Prop.ForAll<string?>(text =>
        System.Text.RegularExpressions.Regex.IsMatch(ProjectName.Normalize(text ?? ""), "^[a-z]([a-z0-9-]{0,37}[a-z0-9])?$")).QuickCheckThrowOnFailure();
}
