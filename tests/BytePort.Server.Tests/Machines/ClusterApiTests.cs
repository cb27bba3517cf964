using System.Net.Http.Json;
using System.Text.Json.Nodes;
using BytePort.Server.Grpc;
using BytePort.Server.Tests.Grpc;
using BytePort.Server.Tests.Platform;

namespace BytePort.Server.Tests.Machines;

/// <summary>ClusterService as its callers see it.</summary>
[Collection(nameof(GrpcUnderTest))]
public sealed class ClusterApiTests(GrpcUnderTest grpc, TestPlatform platform)
{
    [Fact]
    public async Task List_OfANewTeam_IsThisNodeWithoutMachines()
    {
        using var team = await platform.AnotherTeamAsync();
        var outcome = await grpc.ClusterAsync("List", [], team.DefaultRequestHeaders.Authorization!.Parameter);

        Assert.Equal((0, ""), (outcome.Code, outcome.Details));
        var state = Assert.Single(outcome.Messages[0]["states"]!.AsArray())!;
        Assert.Equal("127.0.0.1", (string?)state["node"]!["ip"]);
        Assert.Matches("^[0-9a-f]{32}$", (string?)state["node"]!["id"]);
        Assert.Empty(state["workloads"]!.AsArray());
    }

    [Fact]
    public async Task Spawn_ThenListLogsAndStop_AreOfThatMachine()
    {
        var port = TestPlatform.FreePort();
        var spawned = await grpc.ClusterAsync("Spawn", new() { ["memory"] = 128, ["image_ref"] = "base", ["env"] = new JsonArray("GREETING=a b=c"), ["ports"] = new JsonObject { [$"{port}"] = 80 } });
        Assert.Equal((0, ""), (spawned.Code, spawned.Details));
        Assert.Equal($"http://127.0.0.1:{port}/", (string?)spawned.Messages[0]["url"]);
        var id = (string)spawned.Messages[0]["id"]!;

        var listed = await grpc.ClusterAsync("List", []);
        var workload = Assert.Single(listed.Messages[0]["states"]![0]!["workloads"]!.AsArray(), workload => (string?)workload!["id"] == id)!;
        Assert.Equal($$"""{"env":["GREETING=a b=c"],"ports":{"{{port}}":80},"cores":1,"memory":128,"image_ref":"base","dry_run":false}""", workload["source_request"]!.ToJsonString());
        var logs = await grpc.ClusterAsync("Logs", new() { ["id"] = id });
        Assert.Equal((0, ""), (logs.Code, (string?)logs.Messages[0]["logs"]));
        using var ran = await platform.Http.PostAsJsonAsync($"/api/v1/machines/{id}/exec", new { command = new[] { "printenv", "GREETING" } });
        Assert.Equal("a b=c\n", (string?)(await ran.Content.ReadFromJsonAsync<JsonNode>())!["output"]);

        using var stranger = await platform.AnotherTeamAsync();
        Assert.Equal((int)GrpcStatusCode.NotFound, (await grpc.ClusterAsync("Stop", new() { ["id"] = id }, stranger.DefaultRequestHeaders.Authorization!.Parameter)).Code);
        var stopped = await grpc.ClusterAsync("Stop", new() { ["id"] = id });
        Assert.Equal((0, (string?)listed.Messages[0]["states"]![0]!["node"]!["id"]), (stopped.Code, (string?)stopped.Messages[0]["id"]));
        Assert.Equal((int)GrpcStatusCode.NotFound, (await grpc.ClusterAsync("Stop", new() { ["id"] = id })).Code);
    }

    [Fact]
    public async Task Spawn_DeadlineBeforeItRuns_LeavesNothing()
    {
        var spawned = await grpc.ClusterAsync("Spawn", new() { ["image_ref"] = "base", ["memory"] = 128, ["cores"] = 7 }, more: new() { ["deadline"] = 300 });

        Assert.Equal((int)GrpcStatusCode.DeadlineExceeded, spawned.Code);
        var listed = await grpc.ClusterAsync("List", []);
        Assert.DoesNotContain(listed.Messages[0]["states"]![0]!["workloads"]!.AsArray(), workload => (int)workload!["source_request"]!["cores"]! == 7);
    }

    [Theory]
    [InlineData("Stop")]
    [InlineData("Logs")]
    public async Task Any_UnknownMachine_IsNotFound(string method)
    {
        var outcome = await grpc.ClusterAsync(method, new() { ["id"] = "nosuchthing" });

        Assert.Equal(((int)GrpcStatusCode.NotFound, "There is no machine 'nosuchthing' in your team."), (outcome.Code, outcome.Details));
    }

    [Theory]
    [InlineData("""{ "image_ref": "" }""", nameof(GrpcStatusCode.InvalidArgument), "neither a stack")]
    [InlineData("""{ "image_ref": "no such", "cores": 65, "memory": 63 }""", nameof(GrpcStatusCode.InvalidArgument), "cores is 65; it must be 1 to 64. memory is 63 MiB")]
    [InlineData("""{ "image_ref": "perl@5" }""", nameof(GrpcStatusCode.InvalidArgument), "There is no stack 'perl'")]
    [InlineData("""{ "image_ref": "base", "env": ["A=1", "=2"] }""", nameof(GrpcStatusCode.InvalidArgument), "env '=2' is not NAME=VALUE")]
    [InlineData("""{ "image_ref": "base", "ports": { "80": 0 } }""", nameof(GrpcStatusCode.InvalidArgument), "Ports are from 1 to 65535")]
    [InlineData("""{ "image_ref": "base", "ports": { "80": 80 } }""", nameof(GrpcStatusCode.InvalidArgument), "The port 80 to 80 cannot be published")]
    public async Task Spawn_Wrong_SaysWhat(string request, string status, string message)
    {
        var outcome = await grpc.ClusterAsync("Spawn", JsonNode.Parse(request)!.AsObject());

        Assert.Equal(status, ((GrpcStatusCode)outcome.Code).ToString());
        Assert.Contains(message, outcome.Details, StringComparison.Ordinal);
    }
}
