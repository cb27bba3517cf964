using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using BytePort.Server.Tests.Platform;

namespace BytePort.Server.Tests.Machines;

/// <summary>What a machine may move in a second, and nested virtualization: asked for over HTTP, and in force in what runs.</summary>
public sealed class LimitsApiTests(TestPlatform platform)
{
    [Fact]
    public async Task Spawn_Limits_AreInForceAndOutliveASnapshot()
    {
        const int Bytes = 3 << 20;
        const int Bits = 8_000_000;
        var port = TestPlatform.FreePort();
        var server = $$"""$s = IO::Socket::INET->new(LocalPort => 8000, Listen => 5) or die; while (1) { $c = $s->accept or next; print $c "x" x {{Bytes}}; close $c }""";
        using var spawned = await platform.Http.PostAsJsonAsync("/api/v1/machines", new
        {
            name = "limited",
            @ref = "base",
            memoryMiB = 128,
            driver = "qemu",
            nestedVirtualization = true,
            limits = new { sendBits = Bits, readBytes = 50 << 20, writeOperations = 1000 },
            ports = new Dictionary<int, int> { [port] = 8000 },
            command = new[] { "perl", "-MIO::Socket::INET", "-e", server },
        });
        Assert.True(spawned.StatusCode == HttpStatusCode.Created, await spawned.Content.ReadAsStringAsync());
        var machine = (await spawned.Content.ReadFromJsonAsync<JsonNode>())!;
        try
        {
            // What nobody asks for is what the platform allows.
            Assert.Equal(
                """{"receiveBits":1000000000,"sendBits":8000000,"readBytes":52428800,"writeBytes":null,"readOperations":null,"writeOperations":1000}""",
                machine["limits"]!.ToJsonString());
            Assert.True((bool)machine["nestedVirtualization"]!);
            Assert.Contains("svm", await ExecAsync(machine, "grep -o -w -e svm -e vmx /proc/cpuinfo"), StringComparison.Ordinal);
            AssertGroup(machine);

            var began = Stopwatch.GetTimestamp();
            Assert.Equal(Bytes, await DownloadAsync(port));
            var least = Bytes * 8.0 / Bits;
            // A second of its rate goes at once.
            Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, 0.5 * least, 4 * least);

            await AssertRestoredAsync(machine);
        }
        finally
        {
            Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync($"/api/v1/machines/{machine["id"]}")).StatusCode);
        }
    }

    [Theory]
    [InlineData("""{ "sendBits": 63999 }""", HttpStatusCode.BadRequest, "limits.sendBits is 63999 a second; it must be 64000 to 100000000000.")]
    [InlineData("""{ "readOperations": 9 }""", HttpStatusCode.BadRequest, "limits.readOperations is 9 a second; it must be 10 to 10000000.")]
    [InlineData("""{ "receiveBits": 1000000001 }""", HttpStatusCode.UnprocessableEntity, "this platform allows 1000000000. Ask for no more, or ask the operator for a higher receive_bits in BYTEPORT_MACHINE_LIMITS.")]
    public async Task Spawn_WrongLimits_SaysWhat(string limits, HttpStatusCode status, string expected)
    {
        using var response = await platform.Http.PostAsJsonAsync("/api/v1/machines", new { name = "a", @ref = "base", dryRun = true, limits = JsonNode.Parse(limits) });

        Assert.Equal(status, response.StatusCode);
        Assert.Contains(expected, (string?)(await response.Content.ReadFromJsonAsync<JsonNode>())!["detail"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Spawn_NestedByATenant_IsTheOperatorsToAllow()
    {
        using var tenant = await platform.AnotherTeamAsync();
        using var refused = await tenant.PostAsJsonAsync("/api/v1/machines", new { name = "a", @ref = "base", nestedVirtualization = true, dryRun = true });

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Contains("BYTEPORT_NESTED_VIRTUALIZATION=all", (string?)(await refused.Content.ReadFromJsonAsync<JsonNode>())!["detail"], StringComparison.Ordinal);
    }

    private async Task AssertRestoredAsync(JsonNode machine)
    {
        using var taken = await platform.Http.PostAsync($"/api/v1/machines/{machine["id"]}/snapshots", null);
        Assert.True(taken.StatusCode == HttpStatusCode.Created, await taken.Content.ReadAsStringAsync());
        var snapshot = $"/api/v1/snapshots/{(await taken.Content.ReadFromJsonAsync<JsonNode>())!["id"]}";
        using var restored = await platform.Http.PostAsJsonAsync($"{snapshot}/restore", new { name = "again", count = 1 });
        Assert.True(restored.StatusCode == HttpStatusCode.Created, await restored.Content.ReadAsStringAsync());
        var again = Assert.Single((await restored.Content.ReadFromJsonAsync<JsonNode>())!["items"]!.AsArray())!;
        Assert.Equal(machine["limits"]!.ToJsonString(), again["limits"]!.ToJsonString());
        AssertGroup(again);
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync($"/api/v1/machines/{again["id"]}")).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync(snapshot)).StatusCode);
    }

    /// <summary>The kernel's own files of the machine's control group, version 1 or 2.</summary>
    private static void AssertGroup(JsonNode machine)
    {
        var group = Directory.EnumerateDirectories("/sys/fs/cgroup", "byteport", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 2 })
            .SelectMany(parent => Directory.EnumerateDirectories(parent, (string)machine["id"]!, SearchOption.AllDirectories))
            .FirstOrDefault(folder => File.Exists(Path.Combine(folder, "blkio.throttle.read_bps_device")) || File.Exists(Path.Combine(folder, "io.max")));
        Assert.NotNull(group);
        if (File.Exists(Path.Combine(group, "io.max")))
        {
            Assert.Contains("rbps=52428800 wbps=max riops=max wiops=1000", File.ReadAllText(Path.Combine(group, "io.max")), StringComparison.Ordinal);
            return;
        }

        Assert.EndsWith(" 52428800", File.ReadAllText(Path.Combine(group, "blkio.throttle.read_bps_device")).TrimEnd(), StringComparison.Ordinal);
        Assert.EndsWith(" 1000", File.ReadAllText(Path.Combine(group, "blkio.throttle.write_iops_device")).TrimEnd(), StringComparison.Ordinal);
        Assert.Equal("", File.ReadAllText(Path.Combine(group, "blkio.throttle.write_bps_device")));
    }

    private async Task<string> ExecAsync(JsonNode machine, string command)
    {
        using var ran = await platform.Http.PostAsJsonAsync($"/api/v1/machines/{machine["id"]}/exec", new { command = new[] { "sh", "-c", command } });
        return (string)(await ran.Content.ReadFromJsonAsync<JsonNode>())!["output"]!;
    }

    private static async Task<long> DownloadAsync(int port)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, port, TestContext.Current.CancellationToken);
                using var all = new MemoryStream();
                await client.GetStream().CopyToAsync(all, TestContext.Current.CancellationToken);
                return all.Length;
            }
            catch (SocketException) when (tries < 100)
            {
                // It does not listen yet.
                await Task.Delay(50, TestContext.Current.CancellationToken);
            }
        }
    }
}
