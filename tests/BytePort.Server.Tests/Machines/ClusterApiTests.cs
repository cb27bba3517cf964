using System.Text.Json.Nodes;
using BytePort.Server.Grpc;
using BytePort.Server.Tests.Grpc;

namespace BytePort.Server.Tests.Machines;

/// <summary>ClusterService without machines: those are started by the end-to-end tests.</summary>
[Collection(nameof(GrpcUnderTest))]
public sealed class ClusterApiTests(GrpcUnderTest grpc)
{
    [Fact]
    public async Task List_NoMachines_IsThisNode()
    {
        var outcome = await grpc.ClusterAsync("List", []);

        Assert.Equal((0, ""), (outcome.Code, outcome.Details));
        var state = Assert.Single(outcome.Messages[0]["states"]!.AsArray())!;
        Assert.Equal("127.0.0.1", (string?)state["node"]!["ip"]);
        Assert.Matches("^[0-9a-f]{32}$", (string?)state["node"]!["id"]);
        Assert.Empty(state["workloads"]!.AsArray());
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
    [InlineData("""{ "image_ref": "base", "ports": { "8081": 80 } }""", nameof(GrpcStatusCode.Unimplemented), "Ports cannot be published yet")]
    public async Task Spawn_Wrong_SaysWhat(string request, string status, string message)
    {
        var outcome = await grpc.ClusterAsync("Spawn", JsonNode.Parse(request)!.AsObject());

        Assert.Equal(status, ((GrpcStatusCode)outcome.Code).ToString());
        Assert.Contains(message, outcome.Details, StringComparison.Ordinal);
    }
}
