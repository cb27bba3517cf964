using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using BytePort.Server.Tests.Platform;

namespace BytePort.Server.Tests.Machines;

[Collection(nameof(SpawnedMachine))]
public sealed class MachineApiTests(TestPlatform platform, SpawnedMachine machine)
{
    [Fact]
    public async Task Exec_Command_GivesOutputsAndCode()
    {
        var result = await machine.ExecAsync(new { command = new[] { "sh", "-c", "echo $FROM $MORE; pwd; echo oops >&2; exit 5" }, environment = new Dictionary<string, string> { ["MORE"] = "a \"b\" $c" }, workingDirectory = "/tmp" });

        Assert.Equal("""{"exitCode":5,"signal":null,"reason":"The process exited with code 5.","output":"spawn a \"b\" $c\n/tmp\n","error":"oops\n","truncated":false}""", Plain(result));
    }

    [Fact]
    public async Task Exec_TooMuchOutput_IsCutAndTooLong_IsKilled()
    {
        var cut = await machine.ExecAsync(new { command = new[] { "sh", "-c", "head -c 1500000 /dev/zero | tr '\\0' x" } });
        Assert.Equal((1 << 20, true), (((string)cut["output"]!).Length, (bool)cut["truncated"]!));

        using var slow = await platform.Http.PostAsJsonAsync($"{machine.Path}/exec", new { command = new[] { "sleep", "600" }, seconds = 1 });
        Assert.Equal(HttpStatusCode.RequestTimeout, slow.StatusCode);
        Assert.Equal("", (string?)(await machine.ExecAsync(new { command = new[] { "sh", "-c", "pgrep -x sleep -f '^sleep 600' || true" } }))["output"]);
    }

    [Theory]
    [InlineData("""{ "command": [""] }""", "The command's program is empty.")]
    [InlineData("""{ "command": ["a\u0000"] }""", "A value holds a zero.")]
    [InlineData("""{ "command": ["a"], "workingDirectory": "tmp" }""", "The working directory 'tmp' is not absolute.")]
    [InlineData("""{ "command": ["a"], "environment": { "A=B": "" } }""", "A variable's name is empty or holds an equals sign.")]
    public async Task Exec_Wrong_SaysWhat(string body, string detail)
    {
        using var response = await platform.Http.PostAsync($"{machine.Path}/exec", new StringContent(body, Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(("machine_invalid", detail), await ProblemAsync(response));
    }

    [Fact]
    public async Task Logs_OfTheMain_AreKept()
    {
        for (var tries = 0; ; tries++)
        {
            var page = await platform.Http.GetFromJsonAsync<JsonNode>($"{machine.Path}/logs");
            var lines = page!["items"]!.AsArray().Select(line => $"{line!["stream"]} {line["text"]}").Order(StringComparer.Ordinal).ToList();
            if (lines is ["stderr wrong", "stdout first"])
                return;
            Assert.True(tries < 100, string.Join('\n', lines));
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task PublishedPort_Connected_LeadsToTheMachine()
    {
        Assert.Equal(8000, (int)(await platform.Http.GetFromJsonAsync<JsonNode>(machine.Path))!["ports"]![$"{machine.Port}"]!);
        for (var tries = 0; ; tries++)
        {
            using var client = new TcpClient();
            try
            {
                await client.ConnectAsync(IPAddress.Loopback, machine.Port, TestContext.Current.CancellationToken);
                using var reader = new StreamReader(client.GetStream());
                Assert.Equal("hello", await reader.ReadToEndAsync(TestContext.Current.CancellationToken));
                return;
            }
            catch (SocketException) when (tries < 100)
            {
                // It does not listen yet.
                await Task.Delay(50, TestContext.Current.CancellationToken);
            }
        }
    }

    [Fact]
    public async Task Pause_ThenExec_ConflictsUntilResumed()
    {
        Assert.Equal("paused", (string?)(await PostAsync("pause"))["state"]);
        using var refused = await platform.Http.PostAsJsonAsync($"{machine.Path}/exec", new { command = new[] { "true" } });
        Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
        Assert.Equal("machine_state", (await ProblemAsync(refused)).Code);
        Assert.Equal("running", (string?)(await PostAsync("resume"))["state"]);

        Assert.Equal(0, (int)(await machine.ExecAsync(new { command = new[] { "true" } }))["exitCode"]!);
    }

    [Fact]
    public async Task Suspend_ThenWake_IsTheSameMachine()
    {
        using var spawned = await platform.Http.PostAsJsonAsync("/api/v1/machines", new { name = "sleeper", @ref = "base", memoryMiB = 96, command = new[] { "sh", "-c", "echo began; sleep 600" } });
        Assert.True(spawned.StatusCode == HttpStatusCode.Created, await spawned.Content.ReadAsStringAsync());
        var made = (await spawned.Content.ReadFromJsonAsync<JsonNode>())!;
        var path = $"/api/v1/machines/{made["id"]}";
        try
        {
            using (await platform.Http.PostAsJsonAsync($"{path}/exec", new { command = new[] { "sh", "-c", "echo kept >/dev/shm/mark" } })) { }
            Assert.Equal("snapshotted", await ChangeAsync("suspend"));
            Assert.Equal("snapshotted", await ChangeAsync("suspend"));
            Assert.Equal("snapshotted", (string?)JsonNode.Parse(await platform.Http.GetStringAsync(path))!["state"]);
            using (var refused = await platform.Http.PostAsJsonAsync($"{path}/exec", new { command = new[] { "true" } }))
                Assert.Equal("machine_state", (await ProblemAsync(refused)).Code);

            Assert.Equal("running", await ChangeAsync("wake"));
            using (var ran = await platform.Http.PostAsJsonAsync($"{path}/exec", new { command = new[] { "cat", "/dev/shm/mark" } }))
                Assert.Equal("kept\n", (string?)(await ran.Content.ReadFromJsonAsync<JsonNode>())!["output"]);

            // What was saved is damaged: it begins anew, with its disk.
            using (await platform.Http.PostAsJsonAsync($"{path}/exec", new { command = new[] { "sh", "-c", "echo kept >/mark" } })) { }
            Assert.Equal("snapshotted", await ChangeAsync("suspend"));
            await File.WriteAllTextAsync(platform.Options.InData("machines", "machines", (string)made["id"]!, "sleep", "devices"), "nonsense");
            Assert.Equal("running", await ChangeAsync("wake"));
            using (var ran = await platform.Http.PostAsJsonAsync($"{path}/exec", new { command = new[] { "sh", "-c", "cat /mark; ls /dev/shm" } }))
                Assert.Equal("kept\n", (string?)(await ran.Content.ReadFromJsonAsync<JsonNode>())!["output"]);
        }
        finally
        {
            using (await platform.Http.DeleteAsync(path)) { }
        }

        async Task<string?> ChangeAsync(string change)
        {
            using var response = await platform.Http.PostAsync($"{path}/{change}", null);
            Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
            return (string?)(await response.Content.ReadFromJsonAsync<JsonNode>())!["state"];
        }
    }

    [Theory]
    [InlineData("qemu")]
    [InlineData("container")]
    public async Task Spawn_ByDriver_RunsOnIt(string driver)
    {
        using var spawned = await platform.Http.PostAsJsonAsync("/api/v1/machines", new { name = "driven", @ref = "base", memoryMiB = 128, driver, command = new[] { "sleep", "600" } });
        Assert.True(spawned.StatusCode == HttpStatusCode.Created, await spawned.Content.ReadAsStringAsync());
        var made = (await spawned.Content.ReadFromJsonAsync<JsonNode>())!;
        try
        {
            Assert.Equal((driver, "running"), ((string?)made["driver"], (string?)made["state"]));
            using var ran = await platform.Http.PostAsJsonAsync($"/api/v1/machines/{made["id"]}/exec", new { command = new[] { "sh", "-c", "id -u; exit 9" } });
            var result = (await ran.Content.ReadFromJsonAsync<JsonNode>())!;
            Assert.Equal(("0\n", 9), ((string?)result["output"], (int?)result["exitCode"]));
        }
        finally
        {
            Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync($"/api/v1/machines/{made["id"]}")).StatusCode);
        }
    }

    [Fact]
    public async Task Stats_Running_AreThere()
    {
        var stats = await platform.Http.GetFromJsonAsync<JsonNode>($"{machine.Path}/stats");

        Assert.InRange((long)stats!["memoryTotal"]!, 64 << 20, 128 << 20);
        Assert.InRange((double)stats["uptimeSeconds"]!, 0.1, 600);
    }

    [Fact]
    public async Task Lists_HaveTheMachineAndTheDrivers()
    {
        var machines = (await platform.Http.GetFromJsonAsync<JsonNode>("/api/v1/machines"))!["items"]!.AsArray();
        Assert.Single(machines, item => (string?)item!["id"] == machine.Id);
        var drivers = (await platform.Http.GetFromJsonAsync<JsonNode>("/api/v1/machines/drivers"))!["items"]!.AsArray();
        Assert.Contains(drivers, driver => (string?)driver!["name"] == "qemu" && (bool)driver["usable"]!);
    }

    [Fact]
    public async Task Snapshot_RestoredTwice_GivesTwoMachinesThatGoOn()
    {
        await machine.ExecAsync(new { command = new[] { "sh", "-c", "echo kept > /mark" } });
        using var taken = await platform.Http.PostAsync($"{machine.Path}/snapshots", null);
        Assert.True(taken.StatusCode == HttpStatusCode.Created, await taken.Content.ReadAsStringAsync());
        var snapshot = (await taken.Content.ReadFromJsonAsync<JsonNode>())!;
        var path = $"/api/v1/snapshots/{snapshot["id"]}";
        Assert.Equal(("by-itself", "qemu", 128), ((string?)snapshot["name"], (string?)snapshot["driver"], (int)snapshot["memoryMiB"]!));
        Assert.Single((await platform.Http.GetFromJsonAsync<JsonNode>("/api/v1/snapshots"))!["items"]!.AsArray());
        foreach (var (method, of) in new[] { ("GET", path), ("DELETE", path), ("POST", $"{path}/restore"), ("POST", $"{machine.Path}/snapshots") })
        {
            using var stranger = await platform.AnotherTeamAsync();
            using var asked = new HttpRequestMessage(new HttpMethod(method), of) { Content = of.EndsWith("restore", StringComparison.Ordinal) ? JsonContent.Create(new { }) : null };
            using var answer = await stranger.SendAsync(asked);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }

        foreach (var (wrong, detail) in new (object, string)[] { (new { count = 21 }, "The count is 21; it must be 1 to 20."), (new { name = "No" }, "The name 'No' is not 1 to 56 of a-z, 0-9 and '-'.") })
        {
            using var refused = await platform.Http.PostAsJsonAsync($"{path}/restore", wrong);
            Assert.Equal(("machine_invalid", detail), await ProblemAsync(refused));
        }

        using var restored = await platform.Http.PostAsJsonAsync($"{path}/restore", new { name = "copy", count = 2 });
        Assert.True(restored.StatusCode == HttpStatusCode.Created, await restored.Content.ReadAsStringAsync());
        var copies = (await restored.Content.ReadFromJsonAsync<JsonNode>())!["items"]!.AsArray();
        Assert.Equal(["copy-1", "copy-2"], copies.Select(copy => (string?)copy!["name"]));
        Assert.Equal(2, copies.Select(copy => (string?)copy!["address"]).Distinct().Count());
        foreach (var copy in copies)
        {
            using var asked = await platform.Http.PostAsJsonAsync($"/api/v1/machines/{copy!["id"]}/exec", new { command = new[] { "sh", "-c", "cat /mark; echo $FROM" } });
            Assert.Equal("kept\nspawn\n", (string?)(await asked.Content.ReadFromJsonAsync<JsonNode>())!["output"]);
            Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync($"/api/v1/machines/{copy["id"]}")).StatusCode);
        }

        using var difference = await platform.Http.PostAsync($"{machine.Path}/snapshots?parent={snapshot["id"]}", null);
        var smaller = (await difference.Content.ReadFromJsonAsync<JsonNode>())!;
        Assert.Equal((string?)snapshot["id"], (string?)smaller["parent"]);
        Assert.True((long)smaller["bytes"]! < (long)snapshot["bytes"]!, $"{smaller["bytes"]} and {snapshot["bytes"]} bytes");
        using var none = await platform.Http.PostAsync($"{machine.Path}/snapshots?parent=abcdefghijkl", null);
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
        using var needed = await platform.Http.DeleteAsync(path);
        Assert.Equal(("machine_state", $"Snapshot {smaller["id"]} builds on {snapshot["id"]} and could not be restored without it. Remove that one first."), await ProblemAsync(needed));
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync($"/api/v1/snapshots/{smaller["id"]}")).StatusCode);

        // What is left of a damaged one is its disk.
        var memory = Directory.EnumerateFiles(platform.Options.DataFolder, "memory", SearchOption.AllDirectories).Single(file => file.Contains((string)snapshot["id"]!, StringComparison.Ordinal));
        await using (var file = File.OpenWrite(memory))
            file.SetLength(file.Length / 2);
        using var booted = await platform.Http.PostAsJsonAsync($"{path}/restore", new { name = "booted" });
        var instead = (await booted.Content.ReadFromJsonAsync<JsonNode>())!["items"]![0]!;
        Assert.Contains("memory", (string?)instead["bootedInstead"], StringComparison.Ordinal);
        using var read = await platform.Http.PostAsJsonAsync($"/api/v1/machines/{instead["id"]}/exec", new { command = new[] { "sh", "-c", "cat /mark; echo $FROM" } });
        Assert.Equal("kept\nspawn\n", (string?)(await read.Content.ReadFromJsonAsync<JsonNode>())!["output"]);
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync($"/api/v1/machines/{instead["id"]}")).StatusCode);

        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync(path)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await platform.Http.DeleteAsync(path)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await platform.Http.GetAsync("/api/v1/snapshots/..%2f..%2fpostgres")).StatusCode);
    }

    [Theory]
    [InlineData("GET", "")]
    [InlineData("DELETE", "")]
    [InlineData("GET", "/stats")]
    [InlineData("GET", "/logs")]
    [InlineData("GET", "/exec")]
    [InlineData("POST", "/exec")]
    [InlineData("POST", "/stop")]
    [InlineData("POST", "/pause")]
    [InlineData("POST", "/resume")]
    [InlineData("POST", "/suspend")]
    [InlineData("POST", "/wake")]
    public async Task Anything_OfAnotherTeam_Answers404(string method, string path)
    {
        using var stranger = await platform.AnotherTeamAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), machine.Path + path) { Content = path == "/exec" && method == "POST" ? JsonContent.Create(new { command = new[] { "true" } }) : null };
        using var response = await stranger.SendAsync(request);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal("machine_not_found", (await ProblemAsync(response)).Code);
        Assert.DoesNotContain(machine.Id, await stranger.GetStringAsync("/api/v1/machines"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "ref": "base" }""", HttpStatusCode.BadRequest, "machine_invalid")]
    [InlineData("""{ "name": "a", "ref": "base", "command": [null], "cores": 0 }""", HttpStatusCode.BadRequest, "machine_invalid")]
    [InlineData("""{ "name": "a", "ref": "base", "environment": { "A": "\u0000" } }""", HttpStatusCode.BadRequest, "machine_invalid")]
    [InlineData("""{ "name": "a", "ref": "base", "kernel": "/vmlinux" }""", HttpStatusCode.UnprocessableEntity, "machine_unsupported")]
    [InlineData("""{ "name": "a", "ref": "base", "interfaces": ["back"] }""", HttpStatusCode.UnprocessableEntity, "machine_unsupported")]
    [InlineData("""{ "name": "a", "ref": "base", "dryRun": true }""", HttpStatusCode.NoContent, null)]
    public async Task Spawn_Body_IsChecked(string body, HttpStatusCode status, string? code)
    {
        using var response = await platform.Http.PostAsync("/api/v1/machines", new StringContent(body, Encoding.UTF8, "application/json"));

        Assert.Equal(status, response.StatusCode);
        Assert.Equal(code, code is null ? null : (await ProblemAsync(response)).Code);
    }

    private static async Task<(string? Code, string? Detail)> ProblemAsync(HttpResponseMessage response)
    {
        var problem = await response.Content.ReadFromJsonAsync<JsonNode>();
        return ((string?)problem!["code"], (string?)problem["detail"]);
    }

    private static string Plain(JsonNode node) => node.ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    private async Task<JsonNode> PostAsync(string what)
    {
        using var response = await platform.Http.PostAsync($"{machine.Path}/{what}", null);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<JsonNode>())!;
    }
}
