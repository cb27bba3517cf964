using BytePort.Cli.Tests.Fakes;

namespace BytePort.Cli.Tests.Deployments;

public sealed class ActivateCommandsTests
{
    [Fact]
    public async Task Rollback_Serves_PrintsUrl()
    {
        await using var server = new FakeServer();
        server.OnJson("POST /api/v1/projects/shop/rollback", FakePlatform.Deployment("live", activation: new { status = "pending" }), 202);
        server.OnEach($"GET {FakePlatform.DeploymentPath}", FakePlatform.Deployment("live", activation: new { status = "pending" }), FakePlatform.Deployment("live", serving: true));
        using var cli = new Fakes.Cli(server);

        var (code, output, error) = await cli.RunAsync("rollback", "shop");

        Assert.Equal((0, "http://shop.localhost:8080\n", "Deployment 7 of shop serves\n"), (code, output, error));
    }

    [Fact]
    public async Task Activate_CannotServe_SaysWhy()
    {
        await using var server = new FakeServer();
        server.OnJson($"POST {FakePlatform.DeploymentPath}/activate", FakePlatform.Deployment("live", activation: new { status = "failed", reason = "The app did not listen." }), 202);
        using var cli = new Fakes.Cli(server);

        var (code, _, error) = await cli.RunAsync("activate", "7", "--project", "shop");

        Assert.Equal(1, code);
        Assert.Contains("deployment 7 of shop cannot serve: The app did not listen.", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cancel_NothingRuns_SaysSo()
    {
        await using var server = new FakeServer();
        server.OnJson("GET /api/v1/projects/shop", new { name = "shop", status = "live", createdAt = "2026-01-01T00:00:00Z", latest = FakePlatform.Deployment("live") });
        using var cli = new Fakes.Cli(server);

        var (code, _, error) = await cli.RunAsync("cancel", "shop");

        Assert.Equal((1, "byteport: No deployment of shop is running or queued.\n"), (code, error));
    }
}
