namespace BytePort.Cli.Tests.Fakes;

/// <summary>The answers of a platform on which the project "shop" is deployed.</summary>
internal static class FakePlatform
{
    public const string DeploymentPath = "/api/v1/projects/shop/deployments/7";

    public static object Deployment(string status, string? reason = null, string? code = null, bool serving = false, object? activation = null) => new
    {
        project = "shop",
        number = 7,
        deployment = 7,
        status,
        serving,
        url = "http://shop.localhost:8080",
        reason,
        code,
        source = new { kind = "git", url = "https://example.org/shop.git", @ref = "main", commit = "0123456789abcdef", message = "Say it's \"new\"" },
        steps = new[] { new { name = "build", status = "done", startedAt = "2026-01-01T00:00:00Z", finishedAt = "2026-01-01T00:00:04Z" } },
        services = new[] { new { name = "web", kind = "static" } },
        activation,
        createdAt = "2026-01-01T00:00:00Z",
        startedAt = "2026-01-01T00:00:01Z",
        finishedAt = status is "queued" or "building" ? null : "2026-01-01T00:00:05.25Z",
    };

    public static object Line(long offset, string text, string stream = "stdout") =>
        new { offset, step = "build", time = "2026-01-01T12:34:56Z", stream, text };

    /// <summary>Takes uploads and one deployment, which ends as given after its log.</summary>
    public static void Deploys(this FakeServer server, object end, params object[] lines)
    {
        server.OnJson("POST /api/v1/uploads", new { id = "up-1", url = $"{server.Url}api/v1/uploads/up-1/x", expiresAt = "2026-01-01T00:10:00Z" }, 201);
        server.On("PUT /api/v1/uploads/up-1/x", (context, _) =>
        {
            context.Response.StatusCode = 204;
            return Task.CompletedTask;
        });
        server.OnJson("POST /api/v1/projects/shop/deployments", Deployment("queued"), 202);
        server.OnJson($"GET {DeploymentPath}", end);
        server.On($"GET {DeploymentPath}/logs", async (context, _) =>
        {
            var offset = 0;
            foreach (var line in lines)
                await FakeServer.WriteEventAsync(context, "log", line, ++offset);
            await FakeServer.WriteEventAsync(context, "deployment", end);
            await FakeServer.WriteEventAsync(context, "end", new { });
        });
    }
}
