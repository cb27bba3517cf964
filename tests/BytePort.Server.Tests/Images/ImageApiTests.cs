using System.Net;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using BytePort.Builds.Blobs;
using BytePort.Builds.Services;
using BytePort.Builds.Sites;
using BytePort.Server.Accounts;
using BytePort.Server.Database;
using BytePort.Server.Deployments;
using BytePort.Server.Hosting;
using BytePort.Server.Images;
using BytePort.Server.Machines;
using BytePort.Server.Tests.Platform;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Images;
using NanoVms.Tests.Images.Oci;

namespace BytePort.Server.Tests.Images;

/// <summary>Real skopeo and a registry of our own; images go into the store that the computer has, and are removed again.</summary>
public sealed class ImageApiTests(TestPlatform platform) : IDisposable
{
    private const string Images = "/api/v1/images";

    private readonly TestRegistry _registry = new();

    private string Reference => $"{_registry.Host}/app:1";

    public void Dispose() => _registry.Dispose();

    [Fact]
    public async Task EveryChange_ByOneWhoIsNoAdministrator_IsRefused()
    {
        using var other = await platform.AnotherTeamAsync();
        (HttpMethod Method, string Path, object? Body)[] requests =
        [
            (HttpMethod.Post, $"{Images}/build", new { reference = "base" }),
            (HttpMethod.Delete, $"{Images}?reference=base", null),
            (HttpMethod.Post, $"{Images}/pins", new { reference = "base" }),
            (HttpMethod.Delete, $"{Images}/pins?reference=base", null),
            (HttpMethod.Post, $"{Images}/gc", new { dryRun = true }),
            (HttpMethod.Post, $"{Images}/pull", new { reference = "alpine", pin = true }),
        ];
        foreach (var (method, path, body) in requests)
        {
            using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
            using var response = await other.SendAsync(request);
            Assert.True(response.StatusCode == HttpStatusCode.Forbidden, $"{method} {path} answered {response.StatusCode}");
            Assert.Equal("administrator_required", await CodeAsync(response));
        }
    }

    [Fact]
    public async Task Pull_PrivateImage_IsSeenByItsTeamAloneAndRemoved()
    {
        var digest = _registry.Push("1", [TestRegistry.Layer(TestRegistry.File("a", "x"))], new { StopSignal = "SIGQUIT" });
        _registry.Credentials = "me:secret-word";
        using var other = await platform.AnotherTeamAsync();
        try
        {
            using var refused = await platform.Http.PostAsJsonAsync($"{Images}/pull", new { reference = Reference, username = "me", password = "wrong-word" });
            Assert.Equal((HttpStatusCode.UnprocessableEntity, "image_failed"), (refused.StatusCode, await CodeAsync(refused)));
            Assert.DoesNotContain("wrong-word", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);

            using var pulled = await platform.Http.PostAsJsonAsync($"{Images}/pull", new { reference = Reference, username = "me", password = "secret-word", pin = true });
            var image = (await pulled.Content.ReadFromJsonAsync<JsonNode>())!;
            Assert.Equal(("oci", Reference, digest, true, true), ((string?)image["kind"], (string?)image["reference"], (string?)image["digest"], (bool)image["pinned"]!, (bool)image["private"]!));

            Assert.Contains(Reference, await platform.Http.GetStringAsync(Images), StringComparison.Ordinal);
            Assert.DoesNotContain(Reference, await other.GetStringAsync(Images), StringComparison.Ordinal);

            // It is in the store: a machine of the team needs no credentials, one of another may not even ask a registry inside.
            var mine = await MachineImageAsync(TestTeam());
            Assert.Equal(3, mine.StopSignal);
            var failure = await Assert.ThrowsAsync<MachineFaultException>(() => MachineImageAsync("other"));
            Assert.Contains("which is not a public address", failure.Message, StringComparison.Ordinal);

            using var pinned = await platform.Http.DeleteAsync($"{Images}?reference={Reference}");
            Assert.Equal((HttpStatusCode.Conflict, "image_in_use"), (pinned.StatusCode, await CodeAsync(pinned)));
        }
        finally
        {
            _ = await platform.Http.DeleteAsync($"{Images}/pins?reference={Reference}");
            using var removed = await platform.Http.DeleteAsync($"{Images}?reference={Reference}");
            Assert.Equal(HttpStatusCode.OK, removed.StatusCode);
        }

        Assert.DoesNotContain(Reference, await platform.Http.GetStringAsync(Images), StringComparison.Ordinal);
        using var gone = await platform.Http.DeleteAsync($"{Images}?reference={Reference}");
        Assert.Equal((HttpStatusCode.NotFound, "image_not_found"), (gone.StatusCode, await CodeAsync(gone)));
    }

    [Fact]
    public async Task Pull_Events_TellWhatHappensAndHowItEnds()
    {
        _registry.Push("1", [TestRegistry.Layer(TestRegistry.File("a", Guid.NewGuid().ToString()))]);
        try
        {
            var events = await PostEventsAsync($"{Images}/pull", new { reference = Reference }, CancellationToken.None);
            Assert.Equal(["progress", "progress", "image"], events.Select(item => item.Type));
            Assert.StartsWith($"Fetching {Reference}: 1 layers", (string?)events[0].Data["text"], StringComparison.Ordinal);
            Assert.Equal(Reference, (string?)events[^1].Data["reference"]);
        }
        finally
        {
            _ = await platform.Http.DeleteAsync($"{Images}?reference={Reference}");
        }

        var failed = Assert.Single(await PostEventsAsync($"{Images}/pull", new { reference = "NO REFERENCE" }, CancellationToken.None));
        Assert.Equal(("error", "image_invalid"), (failed.Type, (string?)failed.Data["code"]));
    }

    [Fact]
    public async Task Pull_ByATeam_DoesNotReachRegistriesInside()
    {
        using var other = await platform.AnotherTeamAsync();
        using var response = await other.PostAsJsonAsync($"{Images}/pull", new { reference = Reference });
        Assert.Equal((HttpStatusCode.BadRequest, "image_invalid"), (response.StatusCode, await CodeAsync(response)));
        Assert.Empty(_registry.Requests);
    }

    [Theory]
    [InlineData("""{}""", "'reference' is missing")]
    [InlineData("""{"reference":"alpine","username":"a"}""", "go together")]
    [InlineData("""{"reference":"alpine","username":"a:b","password":"c"}""", "has a colon")]
    public async Task Pull_WrongRequest_SaysWhatIsWrong(string body, string message)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await platform.Http.PostAsync($"{Images}/pull", content);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(message, await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pull_CallerLeaves_IsCanceled()
    {
        using var leaving = new CancellationTokenSource();
        var reference = $"{SilentRegistry(leaving.Token)}/app:1";
        var asked = PostEventsAsync($"{Images}/pull", new { reference }, leaving.Token);
        await Task.Delay(500);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        // Its folder goes with it, so nobody works there any more.
        var key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(reference)))[..32];
        for (var tries = 0; Directory.Exists(Path.Combine(platform.Options.CacheFolder, "oci", "aside", key)); tries++)
        {
            Assert.True(tries < 100, "The fetch goes on.");
            await Task.Delay(100);
        }
    }

    [Fact]
    public async Task Build_Recipe_IsMadeKeptAndUsed()
    {
        var name = $"test-{Guid.NewGuid().ToString("N")[..12]}";
        using var wrong = await platform.Http.PostAsJsonAsync($"{Images}/build", new { reference = name, recipe = "on: base\nversion: x\nfiles: []\n" });
        Assert.Equal(HttpStatusCode.BadRequest, wrong.StatusCode);
        Assert.Contains($"{name}.yaml:2: version is 'x'", (string?)(await wrong.Content.ReadFromJsonAsync<JsonNode>())!["detail"], StringComparison.Ordinal);

        using var built = await platform.Http.PostAsJsonAsync($"{Images}/build", new { reference = name, recipe = $"on: base\nversion: '1'\nuser: app\nfiles:\n  - path: /etc/{name}\n    content: only here\n" });
        Assert.True(built.StatusCode == HttpStatusCode.OK, await built.Content.ReadAsStringAsync());
        var image = JsonNode.Parse(await built.Content.ReadAsStringAsync())!;
        Assert.Equal(($"{name}@1", "stack"), ((string?)image["reference"], (string?)image["kind"]));
        Assert.True(File.Exists(Path.Combine(platform.Options.RecipesFolder, name + ".yaml")));
        File.Delete(Path.Combine(platform.Options.RecipesFolder, name + ".yaml"));
        using var removed = await platform.Http.DeleteAsync($"{Images}?reference={name}");
        Assert.Equal(HttpStatusCode.OK, removed.StatusCode);
    }

    [Fact]
    public async Task Collect_DryRun_RemovesNothingAndCountsArtifacts()
    {
        var folder = Directory.CreateTempSubdirectory("byteport-images-").FullName;
        try
        {
            // A deployed site keeps its artifacts; what is beside them is old and nobody's.
            await platform.FinishAsync(await platform.DeployAsync("kept-site", TestPlatform.Zip(("index.html", "kept"))));
            var blobs = platform.Services.GetRequiredService<BlobStore>();
            var stray = await blobs.PutAsync("stray"u8.ToArray(), default);
            foreach (var digest in (await SiteAsync("kept-site", blobs)).Append(stray.Digest))
                File.SetLastWriteTimeUtc(blobs.GetPath(digest), DateTime.UtcNow.AddDays(-9));
            using var service = new ImageService(
                new ImageStore(folder),
                platform.Services.GetRequiredService<ArtifactCollection>(),
                platform.Services.GetRequiredService<IDbContextFactory<PlatformDb>>(),
                platform.Options,
                platform.Services.GetRequiredService<Node>(),
                NullLogger<ImageService>.Instance);

            var dry = await service.CollectAsync(TimeSpan.FromDays(7), dryRun: true, default);
            Assert.Equal("artifacts", Assert.Single(dry.Items).Kind);
            Assert.True(blobs.Exists(stray.Digest));
            Assert.True((await service.CollectAsync(TimeSpan.FromDays(7), dryRun: false, default)).Bytes >= stray.Size);
            Assert.False(blobs.Exists(stray.Digest));
            Assert.Equal("kept", (await platform.VisitAsync("kept-site")).Body);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task<IReadOnlyList<string>> SiteAsync(string project, BlobStore blobs)
    {
        await using var db = await platform.Database();
        var plan = await db.Deployments.Where(d => db.Projects.Any(p => p.Id == d.ProjectId && p.Name == project)).Select(d => d.Plan).FirstAsync();
        var tree = ((StaticArtifact)DeploymentPlan.Parse(plan!).Services.Single().Artifact!).TreeDigest;
        return [tree, .. (await StaticTree.LoadAsync(blobs, tree, default)).References()];
    }

    private string TestTeam()
    {
        using var db = platform.Database().GetAwaiter().GetResult();
        return MachineService.OwnerOf(db.Tokens.First(token => token.Hash == Secret.Hash(platform.Token)).TeamId);
    }

    private async Task<MachineImage> MachineImageAsync(string team)
    {
        using var use = platform.Services.GetRequiredService<ImageStore>().BeginUse();
        return await MachineImage.GetAsync(platform.Services.GetRequiredService<ImageStore>(), Manifest.Hac.ImageReference.Parse(Reference)!, team, use, default);
    }

    private async Task<IReadOnlyList<(string Type, JsonNode Data)>> PostEventsAsync(string path, object body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        request.Headers.Accept.Add(new("text/event-stream"));
        using var response = await platform.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var events = new List<(string, JsonNode)>();
        await foreach (var item in SseParser.Create(await response.Content.ReadAsStreamAsync(cancellationToken)).EnumerateAsync(cancellationToken))
            events.Add((item.EventType, JsonNode.Parse(item.Data)!));
        return events;
    }

    /// <summary>Takes connections and never answers.</summary>
    private static string SilentRegistry(CancellationToken ended)
    {
        var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        ended.Register(listener.Dispose);
        return $"127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}";
    }

    private static async Task<string?> CodeAsync(HttpResponseMessage response)
    {
        try
        {
            return (string?)(await response.Content.ReadFromJsonAsync<JsonNode>())!["code"];
        }
        catch (JsonException)
        {
            return await response.Content.ReadAsStringAsync();
        }
    }
}
