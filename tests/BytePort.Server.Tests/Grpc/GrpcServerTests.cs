using System.Net;
using System.Text.Json.Nodes;
using BytePort.Server.Grpc;

namespace BytePort.Server.Tests.Grpc;

/// <summary>The server as @grpc/grpc-js meets it.</summary>
[Collection(nameof(GrpcUnderTest))]
public sealed class GrpcServerTests(GrpcUnderTest grpc)
{
    private const int MaxBytes = GrpcMessages.MaxReceiveBytes;

    /// <summary>grpc-js: compress requests by gzip.</summary>
    private static readonly JsonObject Gzip = new() { ["grpc.default_compression_algorithm"] = 2 };

    private static readonly JsonObject NoLimit = new() { ["grpc.max_receive_message_length"] = -1 };

    [Fact]
    public async Task Unary_Message_ComesBackWithMetadata()
    {
        var outcome = await grpc.ProbeAsync("Echo", "AQID", new() { ["metadata"] = new JsonArray(new JsonArray("x-text", "one"), new JsonArray("x-text", "two, three"), new JsonArray("x-bytes-bin", "AAD/"), new JsonArray("x-bytes-bin", "/w==")) });

        Assert.Equal((0, "AQID"), (outcome.Code, (string?)Assert.Single(outcome.Messages)["value"]));
        Assert.Equal("one, two, three", string.Join(", ", outcome.Headers["x-text"]));
        Assert.Equal(["AAD/", "/w=="], outcome.Trailers["x-bytes-bin"]);
    }

    [Fact]
    public async Task Unary_GzipRequest_IsUnpacked()
    {
        var value = Convert.ToBase64String(new byte[100_000]);
        var outcome = await grpc.ProbeAsync("Echo", value, new() { ["options"] = Gzip.DeepClone() });

        Assert.Equal((0, value), (outcome.Code, (string?)Assert.Single(outcome.Messages)["value"]));
    }

    [Fact]
    public async Task Unary_GzipThatUnpacksToTooMuch_IsResourceExhausted()
    {
        var outcome = await grpc.ProbeAsync("Echo", Convert.ToBase64String(new byte[MaxBytes + 1]), new() { ["options"] = Gzip.DeepClone() });

        Assert.Equal((int)GrpcStatusCode.ResourceExhausted, outcome.Code);
        Assert.Contains("once it is unpacked", outcome.Details, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unary_LargestRequest_IsTakenAndOneMoreByteIsNot()
    {
        // The field's number and length take 5 bytes.
        var largest = await grpc.ProbeAsync("Echo", Convert.ToBase64String(new byte[MaxBytes - 5]), new() { ["options"] = NoLimit.DeepClone() });
        var larger = await grpc.ProbeAsync("Echo", Convert.ToBase64String(new byte[MaxBytes - 4]));

        Assert.Equal(0, largest.Code);
        Assert.Equal((int)GrpcStatusCode.ResourceExhausted, larger.Code);
        Assert.Contains($"{MaxBytes + 1} bytes", larger.Details, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unary_LargeResponse_Arrives()
    {
        var outcome = await grpc.ProbeAsync("Make", 20_000_000, new() { ["options"] = NoLimit.DeepClone() });

        Assert.Equal(0, outcome.Code);
        Assert.Equal(20_000_000, Convert.FromBase64String((string)outcome.Messages[0]["value"]!).Length);
    }

    [Fact]
    public async Task Unary_ManyAtOnce_AllAnswer()
    {
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 300).Select(number => grpc.ProbeAsync("Wait", number % 20)));

        Assert.All(outcomes, outcome => Assert.Equal(0, outcome.Code));
        Assert.Equal(Enumerable.Range(0, 300).Select(number => number % 20), outcomes.Select(outcome => (int)outcome.Messages[0]["value"]!));
    }

    [Fact]
    public async Task Stream_Count_ArrivesInOrder()
    {
        var outcome = await grpc.ProbeAsync("Count", 5000);

        Assert.Equal(0, outcome.Code);
        Assert.Equal(Enumerable.Range(1, 5000), outcome.Messages.Select(message => (int)message["value"]!));
    }

    [Fact]
    public async Task Stream_Empty_IsOk()
    {
        var outcome = await grpc.ProbeAsync("Count", 0);

        Assert.Equal(0, outcome.Code);
        Assert.Empty(outcome.Messages);
    }

    [Fact]
    public async Task Stream_FailsAfterMessages_GivesThemAndTheStatus()
    {
        var outcome = await grpc.ProbeAsync("CountAndFail", 3);

        Assert.Equal(((int)GrpcStatusCode.DataLoss, "lost", 3), (outcome.Code, outcome.Details, outcome.Messages.Count));
    }

    [Fact]
    public async Task Stream_CallerCancels_EndsTheMethod()
    {
        var outcome = await grpc.ProbeAsync("Tick", 0, new() { ["cancelAfter"] = 3 });

        Assert.Equal((int)GrpcStatusCode.Cancelled, outcome.Code);
        Assert.InRange(outcome.Messages.Count, 3, 10);
        await UntilAsync(() => grpc.Ticking == 0);
    }

    [Fact]
    public async Task Stream_Deadline_EndsTheMethod()
    {
        var outcome = await grpc.ProbeAsync("Tick", 0, new() { ["deadline"] = 200 });

        Assert.Equal((int)GrpcStatusCode.DeadlineExceeded, outcome.Code);
        Assert.NotEmpty(outcome.Messages);
        await UntilAsync(() => grpc.Ticking == 0);
    }

    [Theory]
    [InlineData(200, (int)GrpcStatusCode.DeadlineExceeded)]
    [InlineData(20_000, (int)GrpcStatusCode.Ok)]
    public async Task Unary_Deadline_Counts(int deadline, int status)
    {
        var outcome = await grpc.ProbeAsync("Wait", status == 0 ? 50 : 30_000, new() { ["deadline"] = deadline });

        Assert.Equal(status, outcome.Code);
        Assert.InRange(outcome.Milliseconds, 0, 10_000);
    }

    [Fact]
    public async Task Unary_CallerCancels_IsCancelled()
    {
        var outcome = await grpc.ProbeAsync("Wait", 30_000, new() { ["cancelAfter"] = 0 });

        Assert.Equal((int)GrpcStatusCode.Cancelled, outcome.Code);
    }

    [Fact]
    public async Task Unary_EveryStatus_ArrivesWithItsMessage()
    {
        for (var code = 1; code <= 16; code++)
        {
            var outcome = await grpc.ProbeAsync("Fail", code);
            Assert.Equal((code, "50 % über\nnichts"), (outcome.Code, outcome.Details));
            Assert.Empty(outcome.Messages);
        }
    }

    [Fact]
    public async Task Unary_Crash_IsInternalAndSaysNothing()
    {
        var outcome = await grpc.ProbeAsync("Crash", 0);

        Assert.Equal((int)GrpcStatusCode.Internal, outcome.Code);
        Assert.DoesNotContain("secret", outcome.Details, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Missing")]
    [InlineData("echo")]
    public async Task Unary_UnknownMethod_IsUnimplemented(string method)
    {
        var outcome = await grpc.ProbeAsync(method, null);

        Assert.Equal((int)GrpcStatusCode.Unimplemented, outcome.Code);
        Assert.Contains($"/byteport.tests.Probe/{method}", outcome.Details, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("bp_wrong")]
    public async Task Unary_NoOrWrongToken_IsUnauthenticated(string token) =>
        Assert.Equal((int)GrpcStatusCode.Unauthenticated, (await grpc.ClusterAsync("List", [], token)).Code);

    [Fact]
    public async Task Unary_BrokenBinaryMetadata_IsInvalidArgument()
    {
        using var wire = new GrpcWire(grpc.Url);
        var (status, message) = await wire.CallAsync("Echo", grpc.Token, [0, 0, 0, 0, 0], ("x-bytes-bin", "*"));

        Assert.Equal((GrpcStatusCode.InvalidArgument, "The metadata 'x-bytes-bin' is not base64."), (status, message));
    }

    [Theory]
    [InlineData(new byte[] { 0, 0, 0, 0, 0 }, nameof(GrpcStatusCode.Ok))]
    [InlineData(new byte[0], nameof(GrpcStatusCode.Unimplemented))] // no message
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, nameof(GrpcStatusCode.Unimplemented))] // two messages
    [InlineData(new byte[] { 0, 0, 0, 0 }, nameof(GrpcStatusCode.Internal))] // half a prefix
    [InlineData(new byte[] { 0, 0, 0, 0, 9, 1 }, nameof(GrpcStatusCode.Internal))] // half a message
    [InlineData(new byte[] { 2, 0, 0, 0, 0 }, nameof(GrpcStatusCode.Internal))] // unknown flag
    [InlineData(new byte[] { 1, 0, 0, 0, 0 }, nameof(GrpcStatusCode.Internal))] // compressed, but not said how
    [InlineData(new byte[] { 0, 0, 0, 0, 2, 10, 200 }, nameof(GrpcStatusCode.Internal))] // no such message
    [InlineData(new byte[] { 0, 255, 255, 255, 255 }, nameof(GrpcStatusCode.ResourceExhausted))]
    public async Task Wire_Frames_AreAsTheProtocolSays(byte[] body, string expected)
    {
        using var wire = new GrpcWire(grpc.Url);
        Assert.Equal(expected, (await wire.CallAsync("Echo", grpc.Token, body)).Status.ToString());
    }

    [Theory]
    [InlineData("grpc-timeout", "1", nameof(GrpcStatusCode.InvalidArgument))]
    [InlineData("grpc-timeout", "20m", nameof(GrpcStatusCode.DeadlineExceeded))] // the method takes 100
    [InlineData("grpc-timeout", "20S", nameof(GrpcStatusCode.Ok))]
    [InlineData("grpc-timeout", "0n", nameof(GrpcStatusCode.DeadlineExceeded))]
    [InlineData("grpc-encoding", "br", nameof(GrpcStatusCode.Unimplemented))]
    [InlineData("grpc-encoding", "identity", nameof(GrpcStatusCode.Ok))]
    public async Task Wire_Headers_AreAsTheProtocolSays(string name, string value, string expected)
    {
        using var wire = new GrpcWire(grpc.Url);
        Assert.Equal(expected, (await wire.CallAsync(name == "grpc-timeout" ? "Wait" : "Echo", grpc.Token, [0, 0, 0, 0, 2, 8, 100], (name, value))).Status.ToString());
    }

    [Theory]
    [InlineData("POST", "application/json")]
    [InlineData("POST", "application/grpc-web")]
    [InlineData("GET", null)]
    public async Task Wire_NoGrpc_IsRefused(string method, string? contentType)
    {
        using var wire = new GrpcWire(grpc.Url);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, await wire.SendAsync(method, contentType));
    }

    private static async Task UntilAsync(Func<bool> isDone)
    {
        for (var i = 0; !isDone(); i++)
        {
            Assert.True(i < 500, "It did not end.");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }
}
