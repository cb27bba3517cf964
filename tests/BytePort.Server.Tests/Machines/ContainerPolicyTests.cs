using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using BytePort.Server.Tests.Platform;

namespace BytePort.Server.Tests.Machines;

public sealed class ContainerPolicyTests(TestPlatform platform)
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Spawn_ContainerByATenant_IsTheOperatorsToAllow(bool dryRun)
    {
        using var tenant = await platform.AnotherTeamAsync();
        using var refused = await tenant.PostAsJsonAsync("/api/v1/machines", new { name = "shared", @ref = "base", driver = "container", dryRun });

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Contains("BYTEPORT_CONTAINERS", (string?)(await refused.Content.ReadFromJsonAsync<JsonNode>())!["detail"], StringComparison.Ordinal);
        Assert.Empty((await tenant.GetFromJsonAsync<JsonNode>("/api/v1/machines"))!["items"]!.AsArray());

        using var allowed = await platform.Http.PostAsJsonAsync("/api/v1/machines", new { name = "shared", @ref = "base", driver = "container", dryRun = true });
        Assert.Equal(HttpStatusCode.NoContent, allowed.StatusCode);
    }
}
