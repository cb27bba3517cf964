using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using BytePort.Server.Tests.Platform;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace BytePort.Server.Tests.Api;

public class AuthorizationTests(TestPlatform platform)
{
    /// <summary>Endpoints that anybody may ask, each for a reason. A new one fails the test until it is listed or protected.</summary>
    private static readonly HashSet<string> Open =
    [
        "GET /", // says only that the platform is up
        "GET /signin", // the link is the secret
        "GET /healthz",
        "GET /readyz",
        "GET /api/v1/info",
        "GET /openapi/{documentName}.json",
        "PUT /api/v1/uploads/{id:guid}/{token}", // the address is the secret
        "GET /git/samples/{repository}/info/refs", // samples are public and read only
        "POST /git/samples/{repository}/git-upload-pack",
    ];

    private static IEnumerable<(string Method, string Route)> Endpoints(TestPlatform platform)
        => ((IEndpointRouteBuilder)platform.App).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .SelectMany(endpoint => (endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"])
                .Select(method => (method, "/" + endpoint.RoutePattern.RawText!.Trim('/'))));

    [Fact]
    public async Task EveryEndpoint_WithoutToken_Answers401()
    {
        using var nobody = platform.Client(null);
        var protectedOnes = Endpoints(platform).Where(e => !Open.Contains($"{e.Method} {e.Route}")).ToList();
        Assert.True(protectedOnes.Count >= 15, $"Only {protectedOnes.Count} endpoints were found.");
        foreach (var (method, route) in protectedOnes)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), Concrete(route, "any"));
            request.Content = method is "POST" or "PUT" ? JsonContent.Create(new { }) : null;
            using var response = await nobody.SendAsync(request);

            Assert.True(response.StatusCode == HttpStatusCode.Unauthorized, $"{method} {route} answered {response.StatusCode}");
            Assert.Equal("unauthorized", (string?)(await response.Content.ReadFromJsonAsync<JsonNode>())!["code"]);
        }
    }

    [Fact]
    public async Task EveryProjectEndpoint_OfAnotherTeam_Answers404()
    {
        var deployed = await platform.FinishAsync(await platform.DeployAsync("owned", TestPlatform.Zip(("index.html", "mine"))));
        Assert.Equal("live", (string?)deployed["status"]);
        using var stranger = await platform.AnotherTeamAsync();
        foreach (var (method, route) in Endpoints(platform).Where(e => e.Route.Contains("{project}", StringComparison.Ordinal)))
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), Concrete(route, "owned"));
            // A deployment of a name that another team has cannot be made either; it conflicts.
            var creates = method == "POST" && route.EndsWith("/deployments", StringComparison.Ordinal);
            request.Content = method != "POST" ? null : JsonContent.Create<object>(creates ? new { source = new { git = new { url = "https://example.invalid/x.git" } } } : new { });
            using var response = await stranger.SendAsync(request);

            Assert.True(response.StatusCode == (creates ? HttpStatusCode.Conflict : HttpStatusCode.NotFound), $"{method} {route} answered {response.StatusCode}");
        }

        Assert.DoesNotContain("owned", await stranger.GetStringAsync("/api/v1/projects"), StringComparison.Ordinal);
        Assert.Equal("mine", (await platform.VisitAsync("owned")).Body);
    }

    [Theory]
    [InlineData("bp_0000")]
    [InlineData("")]
    [InlineData("a b")]
    public async Task WhoAmI_WrongToken_Answers401(string token)
    {
        using var client = platform.Client(null);
        client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", "Bearer " + token);
        using var response = await client.GetAsync("/api/v1/whoami");

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    private static string Concrete(string route, string project)
        => route.Replace("{project}", project, StringComparison.Ordinal).Replace("{number:int}", "1", StringComparison.Ordinal);
}

