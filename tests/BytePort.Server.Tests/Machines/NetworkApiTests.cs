using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using BytePort.Server.Tests.Platform;

namespace BytePort.Server.Tests.Machines;

/// <summary>Private networks over HTTP, with real machines in one.</summary>
public sealed class NetworkApiTests(TestPlatform platform)
{
    private const string Path = "/api/v1/networks";

    [Fact]
    public async Task Network_OfATeam_IsMadeUsedAndRemovedByItAlone()
    {
        using var made = await platform.Http.PostAsJsonAsync(Path, new { name = "back" });
        Assert.True(made.StatusCode == HttpStatusCode.Created, await made.Content.ReadAsStringAsync());
        Assert.Equal($"{Path}/back", made.Headers.Location?.ToString());
        var network = (await made.Content.ReadFromJsonAsync<JsonNode>())!;
        Assert.Equal(("back", null), ((string?)network["name"], (string?)network["router"]));
        using var again = await platform.Http.PostAsJsonAsync(Path, new { name = "back" });
        Assert.Equal(HttpStatusCode.Conflict, again.StatusCode);

        using var stranger = await platform.AnotherTeamAsync();
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.GetAsync($"{Path}/back")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.DeleteAsync($"{Path}/back")).StatusCode);
        Assert.Empty((await stranger.GetFromJsonAsync<JsonNode>(Path))!["items"]!.AsArray());
        using var theirs = await stranger.PostAsJsonAsync("/api/v1/machines", new { name = "spy", @ref = "base", interfaces = new[] { "back" }, dryRun = true });
        Assert.Equal(HttpStatusCode.UnprocessableEntity, theirs.StatusCode);

        var router = await SpawnAsync(new { name = "router", @ref = "base", driver = "container", interfaces = new[] { "default", "back" }, routes = new[] { "back" }, command = new[] { "sleep", "600" } });
        var inner = await SpawnAsync(new { name = "inner", @ref = "base", driver = "container", interfaces = new[] { "back" }, command = new[] { "sleep", "600" } });
        network = (await platform.Http.GetFromJsonAsync<JsonNode>($"{Path}/back"))!;
        Assert.Equal((router, 2), ((string?)network["router"], network["machines"]!.AsArray().Count));
        using var ran = await platform.Http.PostAsJsonAsync($"/api/v1/machines/{inner}/exec", new { command = new[] { "sh", "-c", "getent hosts router.internal && getent ahostsv4 deb.debian.org >/dev/null && echo names" } });
        Assert.EndsWith("names\n", (string?)(await ran.Content.ReadFromJsonAsync<JsonNode>())!["output"], StringComparison.Ordinal);

        using var used = await platform.Http.DeleteAsync($"{Path}/back");
        Assert.Equal(HttpStatusCode.Conflict, used.StatusCode);
        foreach (var machine in new[] { router, inner })
            Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync($"/api/v1/machines/{machine}")).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync($"{Path}/back")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await platform.Http.GetAsync($"{Path}/back")).StatusCode);
    }

    [Theory]
    [InlineData("default")]
    [InlineData("none")]
    [InlineData("9a")]
    [InlineData("A")]
    [InlineData("")]
    [InlineData("a234567890123456789012345678901234567890")]
    public async Task Create_WrongName_IsRefused(string name)
    {
        using var refused = await platform.Http.PostAsJsonAsync(Path, new { name });
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal("machine_invalid", (string?)(await refused.Content.ReadFromJsonAsync<JsonNode>())!["code"]);
    }

    [Theory]
    [InlineData("""{ "interfaces": ["default"], "routes": ["default"] }""", "which is no private network of interface")]
    [InlineData("""{ "interfaces": ["default", "x"], "routes": ["y"] }""", "which is no private network of interface")]
    [InlineData("""{ "interfaces": ["x", "x"] }""", "names a network twice")]
    [InlineData("""{ "interfaces": ["x"], "ports": { "8099": 80 } }""", "has no ports to publish")]
    public async Task Spawn_WrongNetworks_SaysWhat(string body, string detail)
    {
        var request = JsonNode.Parse(body)!.AsObject();
        (request["name"], request["ref"]) = ("wrong", "base");
        using var refused = await platform.Http.PostAsJsonAsync("/api/v1/machines", request);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains(detail, (string?)(await refused.Content.ReadFromJsonAsync<JsonNode>())!["detail"], StringComparison.Ordinal);
    }

    private async Task<string> SpawnAsync(object body)
    {
        using var spawned = await platform.Http.PostAsJsonAsync("/api/v1/machines", body);
        Assert.True(spawned.StatusCode == HttpStatusCode.Created, await spawned.Content.ReadAsStringAsync());
        return (string)(await spawned.Content.ReadFromJsonAsync<JsonNode>())!["id"]!;
    }
}
