using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using BytePort.Server.Accounts;
using BytePort.Server.Database;
using BytePort.Server.Hosting;
using BytePort.Server.Instances;
using BytePort.Server.Routing;
using BytePort.Server.Tests.Platform;
using Microsoft.AspNetCore.Builder;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Images;
using NanoVms.Machines;

[assembly: AssemblyFixture(typeof(TestPlatform))]

namespace BytePort.Server.Tests.Platform;

/// <summary>A whole platform in this process on a temporary folder: real PostgreSQL, real HTTP, and where BYTEPORT_AGENT is set real machines.</summary>
public sealed class TestPlatform : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("byteport-server-tests-").FullName;
    private ServerOptions _options = null!;
    private PrivatePostgres _postgres = null!;
    private MachineHost _machines = null!;
    private Node _node = null!;
    private WebApplication _app = null!;

    public HttpClient Http { get; private set; } = null!;

    /// <summary>The first user's token.</summary>
    public string Token { get; private set; } = "";

    internal ServerOptions Options => _options;

    internal IServiceProvider Services => _app.Services;

    internal WebApplication App => _app;

    public async ValueTask InitializeAsync()
    {
        _options = ServerOptions.Parse(["--data", _folder, "--listen", $"127.0.0.1:{FreePort()}", "--grpc-listen", $"127.0.0.1:{FreePort()}", "--agent", Environment.GetEnvironmentVariable("BYTEPORT_AGENT") ?? "/nonexistent"], _ => null);
        File.SetUnixFileMode(_folder, (UnixFileMode)0b111_001_001);
        _node = await Node.OpenAsync(_options, default);
        _postgres = new PrivatePostgres(_options, NullLogger<PrivatePostgres>.Instance);
        await _postgres.StartAsync(default);
        var images = new ImageStore(_options.CacheFolder, TimeProvider.System, _options.RecipesFolder);
        _machines = await MachineHost.OpenAsync(BytePort.Server.Hosting.Machines.Options(_options, images), NullLoggerFactory.Instance, TimeProvider.System, default);
        _app = PlatformHost.Build(_options, _postgres.ConnectionString, _node, _machines, images);
        await using (var db = await Database())
        {
            await DatabaseStart.MigrateAsync(_postgres.ConnectionString, db, NullLogger.Instance, default);
        }

        await Services.GetRequiredService<FirstStart>().PrepareAsync(default);
        await Services.GetRequiredService<InstanceSupervisor>().AdoptAsync(default);
        await Services.GetRequiredService<RoutePublisher>().PublishAllAsync(default);
        await _app.StartAsync();
        var login = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(_folder, "login.json")))!;
        Token = (string)login["token"]!;
        Http = Client(Token);
    }

    public async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        if (_app is not null)
        {
            await _app.StopAsync();
            await _app.DisposeAsync();
        }

        if (_machines is not null)
        {
            await _machines.DisposeAsync();
            await MachineHost.DestroyAsync(BytePort.Server.Hosting.Machines.Options(_options, new ImageStore(_options.CacheFolder)), NullLoggerFactory.Instance, TimeProvider.System, default);
        }

        new ImageStore(_options.CacheFolder).Forget($"platform-{_node.Id}");
        await _postgres.StopAsync(default);
        _node.Dispose();
        Directory.Delete(_folder, true);
    }

    internal Task<PlatformDb> Database() => Services.GetRequiredService<IDbContextFactory<PlatformDb>>().CreateDbContextAsync();

    /// <summary>A client that speaks for whoever has the token; null for nobody.</summary>
    public HttpClient Client(string? token)
    {
        var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = _options.Url, Timeout = TimeSpan.FromSeconds(30) };
        if (token is not null)
        {
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        return client;
    }

    /// <summary>A user of a new team of their own.</summary>
    public async Task<HttpClient> AnotherTeamAsync()
    {
        var user = new User { Name = "Other" };
        var team = new Team { Slug = "t" + Guid.NewGuid().ToString("N")[..12] };
        var token = Secret.Create("bp_");
        await using var db = await Database();
        db.AddRange(user, team, new Membership { TeamId = team.Id, UserId = user.Id, Role = TeamRole.Owner });
        db.Add(new ApiToken { UserId = user.Id, TeamId = team.Id, Name = "test", Hash = Secret.Hash(token) });
        await db.SaveChangesAsync();
        return Client(token);
    }

    /// <summary>Uploads an archive and deploys it.</summary>
    public async Task<JsonNode> DeployAsync(string project, byte[] archive)
    {
        var upload = await (await Http.PostAsJsonAsync("/api/v1/uploads", new { })).Content.ReadFromJsonAsync<JsonNode>();
        using var sent = await Http.PutAsync((string)upload!["url"]!, new ByteArrayContent(archive));
        Assert.Equal(HttpStatusCode.NoContent, sent.StatusCode);
        using var response = await Http.PostAsJsonAsync($"/api/v1/projects/{project}/deployments", new { source = new { upload = new { id = (string)upload["id"]! } } });
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<JsonNode>())!;
    }

    /// <summary>Waits until the deployment has ended.</summary>
    public async Task<JsonNode> FinishAsync(JsonNode deployment)
    {
        var began = Stopwatch.StartNew();
        while (deployment["finishedAt"] is null)
        {
            Assert.True(began.Elapsed < TimeSpan.FromSeconds(30), $"Not finished: {deployment.ToJsonString()}");
            await Task.Delay(30);
            deployment = (await Http.GetFromJsonAsync<JsonNode>($"/api/v1/projects/{deployment["project"]}/deployments/{deployment["number"]}"))!;
        }

        return deployment;
    }

    /// <summary>Asks the edge for an app's page.</summary>
    public async Task<(HttpStatusCode Status, string Body)> VisitAsync(string project, string path = "/")
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Host = $"{project}.localhost:{_options.ListenPort}";
        using var response = await Http.SendAsync(request);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    public static byte[] Zip(params (string Name, string Content)[] files)
    {
        using var stream = new MemoryStream();
        using (var zip = new System.IO.Compression.ZipArchive(stream, System.IO.Compression.ZipArchiveMode.Create, true))
        {
            foreach (var (name, content) in files)
            {
                using var writer = new StreamWriter(zip.CreateEntry(name).Open());
                writer.Write(content);
            }
        }

        return stream.ToArray();
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
