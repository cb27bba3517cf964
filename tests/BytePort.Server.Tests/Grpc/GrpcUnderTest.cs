using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using BytePort.Server.Database;
using BytePort.Server.Grpc;
using BytePort.Server.Tests.Platform;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace BytePort.Server.Tests.Grpc;

[CollectionDefinition(nameof(GrpcUnderTest))]
public sealed class GrpcTestGroup : ICollectionFixture<GrpcUnderTest>;

/// <summary>The service of probe.proto on a gRPC server of its own, beside the platform's, and one Node client for both.</summary>
public sealed class GrpcUnderTest(TestPlatform platform) : IAsyncLifetime
{
    private readonly string _address = $"127.0.0.1:{TestPlatform.FreePort()}";
    private GrpcServer _server = null!;
    private GrpcClient _client = null!;
    private int _ticking;

    public string Token => platform.Token;

    public Uri Url => new($"http://{_address}/");

    /// <summary>Ticks that were not yet told that nobody listens.</summary>
    public int Ticking => Volatile.Read(ref _ticking);

    public async ValueTask InitializeAsync()
    {
        var databases = platform.Services.GetRequiredService<IDbContextFactory<PlatformDb>>();
        _server = new GrpcServer(_address, [Probe()], databases, TimeProvider.System, NullLoggerFactory.Instance);
        await _server.StartAsync(default);
        _client = GrpcClient.Start("tests/BytePort.Server.Tests/Grpc/probe.proto", "src/BytePort.Server/Machines/cluster.proto");
    }

    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        await _server.StopAsync(default);
    }

    /// <summary>Calls the test's service.</summary>
    internal Task<GrpcClient.Outcome> ProbeAsync(string method, JsonNode? value, JsonObject? more = null) =>
        CallAsync(_address, "byteport.tests.Probe", method, new JsonObject { ["value"] = value }, platform.Token, more);

    /// <summary>Calls the platform's service.</summary>
    internal Task<GrpcClient.Outcome> ClusterAsync(string method, JsonObject request, string? token = null, JsonObject? more = null) =>
        CallAsync(platform.Options.GrpcListen!, "cluster.services.api.ClusterService", method, request, token ?? platform.Token, more);

    private async Task<GrpcClient.Outcome> CallAsync(string address, string service, string method, JsonObject request, string token, JsonObject? more)
    {
        var command = new JsonObject { ["address"] = address, ["service"] = service, ["method"] = method, ["request"] = request };
        foreach (var (name, value) in more ?? [])
            command[name] = value?.DeepClone();
        var metadata = command["metadata"] as JsonArray ?? [];
        command["metadata"] = metadata;
        if (token.Length > 0)
            metadata.Add((JsonNode)new JsonArray("authorization", $"Bearer {token}"));
        return await _client.CallAsync(command);
    }

    private GrpcService Probe() => new(
        "byteport.tests.Probe",
        [
            GrpcMethod.Unary("Echo", BytesValue.Parser, (request, call, _) =>
            {
                foreach (var text in call.Text("x-text"))
                    call.AddHeader("x-text", text);
                foreach (var bytes in call.Bytes("x-bytes-bin"))
                    call.AddTrailer("x-bytes-bin", bytes);
                return Task.FromResult(request);
            }),
            GrpcMethod.Unary("Make", UInt32Value.Parser, (request, _, _) => Task.FromResult(new BytesValue { Value = ByteString.CopyFrom(new byte[request.Value]) })),
            GrpcMethod.Unary("Wait", UInt32Value.Parser, async (request, _, cancellationToken) =>
            {
                await Task.Delay((int)request.Value, cancellationToken);
                return request;
            }),
            GrpcMethod.Unary<UInt32Value, UInt32Value>("Fail", UInt32Value.Parser, (request, _, _) => throw new GrpcException((GrpcStatusCode)request.Value, "50 % über\nnichts")),
            GrpcMethod.Unary<UInt32Value, UInt32Value>("Crash", UInt32Value.Parser, (_, _, _) => throw new InvalidOperationException("a secret of the platform")),
            GrpcMethod.ServerStreaming("Count", UInt32Value.Parser, (request, _, _) => CountAsync(request.Value)),
            GrpcMethod.ServerStreaming("CountAndFail", UInt32Value.Parser, (request, _, _) => CountAsync(request.Value, new GrpcException(GrpcStatusCode.DataLoss, "lost"))),
            GrpcMethod.ServerStreaming("Tick", UInt32Value.Parser, (_, _, cancellationToken) => TickAsync(cancellationToken)),
        ]);

    private static async IAsyncEnumerable<UInt32Value> CountAsync(uint to, Exception? end = null)
    {
        for (var number = 1u; number <= to; number++)
            yield return new UInt32Value { Value = number };
        await Task.Yield();
        if (end is not null)
            throw end;
    }

    private async IAsyncEnumerable<UInt32Value> TickAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        _ = Interlocked.Increment(ref _ticking);
        try
        {
            for (var number = 1u; ; number++)
            {
                yield return new UInt32Value { Value = number };
                await Task.Delay(10, cancellationToken);
            }
        }
        finally
        {
            _ = Interlocked.Decrement(ref _ticking);
        }
    }
}
