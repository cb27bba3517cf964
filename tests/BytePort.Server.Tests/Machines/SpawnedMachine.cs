using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using BytePort.Server.Tests.Platform;

namespace BytePort.Server.Tests.Machines;

[CollectionDefinition(nameof(SpawnedMachine))]
public sealed class SpawnedMachineUsers : ICollectionFixture<SpawnedMachine>;

/// <summary>One real machine, used by the tests of its collection over HTTP.</summary>
public sealed class SpawnedMachine(TestPlatform platform) : IAsyncLifetime
{
    private const string Server = """
        $SIG{TERM} = sub { exit 0 };
        $s = IO::Socket::INET->new(LocalPort => 8000, Listen => 5) or die;
        while (1) { $c = $s->accept or next; print $c "hello"; close $c }
        """;

    public string Id { get; private set; } = "";

    /// <summary>Leads to the machine's main process, which says hello.</summary>
    public int Port { get; } = TestPlatform.FreePort();

    public string Path => $"/api/v1/machines/{Id}";

    public async ValueTask InitializeAsync()
    {
        Assert.True(Environment.GetEnvironmentVariable("BYTEPORT_AGENT") is { Length: > 0 }, "Set BYTEPORT_AGENT to the guest agent; './byteport test Server' does.");
        using var response = await platform.Http.PostAsJsonAsync("/api/v1/machines", new
        {
            name = "by-itself",
            @ref = "base",
            description = "For tests",
            memoryMiB = 128,
            environment = new Dictionary<string, string> { ["FROM"] = "spawn" },
            ports = new Dictionary<int, int> { [Port] = 8000 },
            command = new[] { "sh", "-c", $"echo first; echo wrong >&2; exec perl -MIO::Socket::INET -e '{Server}'" },
        });
        Assert.True(response.StatusCode == HttpStatusCode.Created, await response.Content.ReadAsStringAsync());
        var machine = (await response.Content.ReadFromJsonAsync<JsonNode>())!;
        Id = (string)machine["id"]!;
        Assert.Equal(Path, response.Headers.Location?.ToString());
        Assert.Equal(("running", "base", "by-itself", "For tests"), ((string?)machine["state"], (string?)machine["image"], (string?)machine["name"], (string?)machine["description"]));
    }

    public async ValueTask DisposeAsync()
    {
        if (Id.Length == 0)
            return;
        using var stopped = await platform.Http.PostAsync($"{Path}/stop?grace=20", null);
        Assert.Equal(HttpStatusCode.NoContent, stopped.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await platform.Http.GetAsync(Path)).StatusCode);
    }

    public async Task<JsonNode> ExecAsync(object body)
    {
        using var response = await platform.Http.PostAsJsonAsync($"{Path}/exec", body);
        Assert.True(response.StatusCode == HttpStatusCode.OK, await response.Content.ReadAsStringAsync());
        return (await response.Content.ReadFromJsonAsync<JsonNode>())!;
    }
}
