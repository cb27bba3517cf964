using System.Formats.Tar;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using BytePort.Server.Tests.Platform;

namespace BytePort.Server.Tests.Machines.Templates;

public sealed class TemplateApiTests(TestPlatform platform)
{
    private const string Hac = """
        [spacecore]
        name = "from-template"
        description = "For tests"
        [hardware]
        memory = 128
        ref = "base"
        interface = "none"
        driver = "container"
        [template]
        modes = { "etc/app/key" = "600", "etc/app" = "711" }
        script_seconds = 20
        """;

    private static readonly (string Name, string Content)[] Whole =
    [
        ("hac.toml", Hac),
        ("README.md", "For people"),
        ("config/etc/app/key", "secret\n"),
        ("config/etc/app/app.conf", "on = true\n"),
        ("scripts/on-boot", "#!/bin/sh\ncat /etc/app/app.conf /data/seed >/booted; echo $COLOR >>/booted\n"),
        ("scripts/before-shutdown", "#!/bin/sh\necho down >/data/down\n"),
        ("scripts/on-disconnect", "#!/bin/sh\necho gone >>/disconnected\n"),
        ("data/seed", "seed\n"),
    ];

    [Fact]
    public async Task Spawn_FromATemplate_HasItsFilesScriptsAndData()
    {
        var view = await PutAsync("whole", Whole);
        Assert.Equal(
            ("whole", "For tests", "base", "container", 128, "before-shutdown on-boot on-disconnect", true, true, Whole.Length),
            ((string?)view["name"], (string?)view["description"], (string?)view["image"], (string?)view["driver"], (int)view["memoryMiB"]!, string.Join(' ', view["scripts"]!.AsArray().Select(s => (string?)s)), (bool)view["hasConfig"]!, (bool)view["hasData"]!, (int)view["files"]!));
        Assert.Contains((await platform.Http.GetFromJsonAsync<JsonNode>("/api/v1/templates"))!["items"]!.AsArray(), item => (string?)item!["name"] == "whole");

        using var spawned = await platform.Http.PostAsJsonAsync("/api/v1/machines", new { template = "whole", name = "renamed", environment = new Dictionary<string, string> { ["COLOR"] = "blue" } });
        Assert.True(spawned.StatusCode == HttpStatusCode.Created, await spawned.Content.ReadAsStringAsync());
        var machine = (await spawned.Content.ReadFromJsonAsync<JsonNode>())!;
        var path = $"/api/v1/machines/{machine["id"]}";
        Assert.Equal(("renamed", "whole", "container", 128), ((string?)machine["name"], (string?)machine["template"], (string?)machine["driver"], (int)machine["memoryMiB"]!));
        Assert.Equal("on = true\nseed\nblue\n600 /etc/app/key\n711 /etc/app\n755 /etc\n1777 /tmp\n", await RunAsync(path, "cat /booted; stat -c '%a %n' /etc/app/key /etc/app /etc /tmp"));

        // A terminal that goes runs the script; a process with pipes does not.
        using (var socket = new ClientWebSocket())
        {
            socket.Options.SetRequestHeader("Authorization", $"Bearer {platform.Token}");
            await socket.ConnectAsync(new UriBuilder(new Uri(platform.Options.Url, $"{path}/exec")) { Scheme = "ws" }.Uri, TestContext.Current.CancellationToken);
            await socket.SendAsync(Encoding.UTF8.GetBytes("""{ "command": ["sleep", "600"], "terminal": { "columns": 80, "rows": 24 } }"""), WebSocketMessageType.Text, true, TestContext.Current.CancellationToken);
            await Task.Delay(200, TestContext.Current.CancellationToken);
            socket.Abort();
        }

        for (var tries = 0; await RunAsync(path, "cat /disconnected 2>/dev/null || true") != "gone\n"; tries++)
        {
            Assert.True(tries < 100, "The script did not run.");
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }

        _ = await RunAsync(path, "echo written >/data/new; rm /data/seed");
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.PostAsync($"{path}/sync", null)).StatusCode);
        Assert.Equal(["data/new"], (await ReadAsync("whole")).Keys.Where(name => name.StartsWith("data/", StringComparison.Ordinal)));
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.PostAsync($"{path}/stop", null)).StatusCode);
        var kept = await ReadAsync("whole");
        Assert.Equal(("written\n", "down\n"), (kept["data/new"], kept["data/down"]));
        Assert.Equal(Whole[3].Content, kept["config/etc/app/app.conf"]);

        // A push leaves what machines keep, unless it is told to replace it.
        await PutAsync("whole", [.. Whole.Where(file => file.Name != "config/etc/app/app.conf")]);
        Assert.True((await ReadAsync("whole")).ContainsKey("data/down"));
        await PutAsync("whole", Whole, replaceData: true);
        Assert.Equal(["data/seed"], (await ReadAsync("whole")).Keys.Where(name => name.StartsWith("data/", StringComparison.Ordinal)));
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync("/api/v1/templates/whole")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await platform.Http.GetAsync("/api/v1/templates/whole")).StatusCode);
        foreach (var folder in new[] { "machine-templates", "machine-data" })
            Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(platform.Options.InData(folder), "*", SearchOption.AllDirectories), entry => Path.GetFileName(entry) == "whole");
    }

    [Fact]
    public async Task Spawn_BootScriptFails_SaysWhatItSaid()
    {
        await PutAsync("failing", [("hac.toml", Hac.Replace("modes =", "# ", StringComparison.Ordinal)), ("scripts/on-boot", "#!/bin/sh\necho out of luck >&2\nexit 3\n")]);
        using var spawned = await platform.Http.PostAsJsonAsync("/api/v1/machines", new { template = "failing" });

        Assert.Equal(HttpStatusCode.InternalServerError, spawned.StatusCode);
        var detail = (string?)(await spawned.Content.ReadFromJsonAsync<JsonNode>())!["detail"];
        Assert.Contains("'/var/lib/byteport/scripts/on-boot', which runs at its boot, failed. The process exited with code 3. It said:\nout of luck", detail, StringComparison.Ordinal);
    }

    public static TheoryData<string, string, string> Wrong => new()
    {
        { "config/etc/motd", "hello", "A template needs the file hac.toml" },
        { "main.py", "", "'main.py' is no part of a template" },
        { "scripts/on-fire", "#!/bin/sh\n", "scripts/on-fire is no event; there are on-boot, before-shutdown, on-disconnect." },
        { "hac.toml", "[spacecore]\nname = 'UPPER'\n[hardware]\nref = 'base'", "hac.toml:2:8: spacecore.name must be 1 to 60 of a-z, 0-9 and -" },
        { "hac.toml", "[spacecore]\nname = 'a'\n[hardware]\nref = 'base'\n[template.modes]\n'etc/none' = '600'", "template.modes names 'etc/none', which is neither a file nor a folder below config/." },
        { "config", "a file", "config must be a folder." },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task Put_WrongContent_IsRefusedAndNothingStays(string name, string content, string expected)
    {
        (string, string)[] files = name is "hac.toml" or "config/etc/motd" ? [(name, content)] : [("hac.toml", Hac.Replace("modes =", "# ", StringComparison.Ordinal)), (name, content)];
        using var response = await SendAsync("wrong", Archive(files));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var problem = (await response.Content.ReadFromJsonAsync<JsonNode>())!;
        Assert.Equal("machine_invalid", (string?)problem["code"]);
        Assert.Contains(expected, (string?)problem["detail"], StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await platform.Http.GetAsync("/api/v1/templates/wrong")).StatusCode);
    }

    [Theory]
    [InlineData("../outside", null, "'../outside'")]
    [InlineData("/etc/passwd", null, "'/etc/passwd'")]
    [InlineData("config/link", "/etc/shadow", "it leads to '/etc/shadow', an absolute path")]
    [InlineData("config/link", "../../..", "which is outside")]
    public async Task Put_EntryThatLeads_OutIsRefused(string name, string? link, string expected)
    {
        using var stream = new MemoryStream();
        await using (var gzip = new GZipStream(stream, CompressionLevel.Fastest, leaveOpen: true))
        await using (var tar = new TarWriter(gzip))
        {
            var entry = new PaxTarEntry(link is null ? TarEntryType.RegularFile : TarEntryType.SymbolicLink, name);
            if (link is not null)
                entry.LinkName = link;
            await tar.WriteEntryAsync(entry, TestContext.Current.CancellationToken);
            await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, "hac.toml") { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(Hac)) }, TestContext.Current.CancellationToken);
        }

        using var response = await SendAsync("evil", stream.ToArray());
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(expected, (string?)(await response.Content.ReadFromJsonAsync<JsonNode>())!["detail"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "")]
    [InlineData("GET", "/archive")]
    [InlineData("DELETE", "")]
    public async Task Anything_OfAnotherTeam_Answers404(string method, string path)
    {
        await PutAsync("mine", [("hac.toml", Hac.Replace("modes =", "# ", StringComparison.Ordinal))]);
        using var stranger = await platform.AnotherTeamAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), $"/api/v1/templates/mine{path}");
        using var response = await stranger.SendAsync(request);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await platform.Http.GetAsync("/api/v1/templates/mine")).StatusCode);
    }

    [Fact]
    public async Task Put_UploadOfAnotherTeam_IsRefusedAndSpawnToo()
    {
        await PutAsync("mine", [("hac.toml", Hac.Replace("modes =", "# ", StringComparison.Ordinal))]);
        var upload = await UploadAsync(platform.Http, Archive([("hac.toml", Hac)]));
        using var stranger = await platform.AnotherTeamAsync();
        using var put = await stranger.PutAsJsonAsync("/api/v1/templates/stolen", new { upload = new { id = upload } });
        Assert.Equal(HttpStatusCode.BadRequest, put.StatusCode);
        using var spawned = await stranger.PostAsJsonAsync("/api/v1/machines", new { template = "mine" });
        Assert.Equal(HttpStatusCode.NotFound, spawned.StatusCode);
        Assert.Empty((await stranger.GetFromJsonAsync<JsonNode>("/api/v1/templates"))!["items"]!.AsArray());
    }

    [Fact]
    public async Task Persistent_NextMachineOfTheName_HasTheDisk()
    {
        var request = new { name = "keeper", @ref = "base", memoryMiB = 128, interfaces = Array.Empty<string>(), driveBytes = 64L << 20, persistent = true };
        var first = await SpawnAsync(request);
        _ = await RunAsync(first, "echo kept >/kept");
        using var stranger = await platform.AnotherTeamAsync();
        Assert.Empty((await stranger.GetFromJsonAsync<JsonNode>("/api/v1/disks"))!["items"]!.AsArray());
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.DeleteAsync("/api/v1/disks/keeper")).StatusCode);
        Assert.Equal(HttpStatusCode.Conflict, (await platform.Http.DeleteAsync("/api/v1/disks/keeper")).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.PostAsync($"{first}/stop?grace=5", null)).StatusCode);

        var second = await SpawnAsync(request);
        Assert.Equal("kept\n", await RunAsync(second, "cat /kept"));
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.PostAsync($"{second}/stop?grace=5", null)).StatusCode);
        Assert.Equal(("keeper", 64L << 20), (await platform.Http.GetFromJsonAsync<JsonNode>("/api/v1/disks"))!["items"]!.AsArray().Select(disk => ((string?)disk!["name"], (long)disk["size"]!)).Single());
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync("/api/v1/disks/keeper")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await platform.Http.DeleteAsync("/api/v1/disks/..%2fkeeper")).StatusCode);
    }

    [Fact]
    public async Task Console_OfASpawn_BeginsWithTheFirstLine()
    {
        using var asked = new HttpRequestMessage(HttpMethod.Post, "/api/v1/machines")
        {
            Content = JsonContent.Create(new { name = "talks", @ref = "base", memoryMiB = 128, interfaces = Array.Empty<string>(), bootMessages = true, machineType = "q35" }),
            Headers = { { "Accept", "text/event-stream" } },
        };
        using var response = await platform.Http.SendAsync(asked);
        var events = (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        var told = string.Concat(events.Where(e => e.StartsWith("event: console", StringComparison.Ordinal)).Select(e => Encoding.UTF8.GetString(Convert.FromBase64String((string)Data(e)["data"]!))));
        Assert.Contains("Linux version", told, StringComparison.Ordinal);
        Assert.StartsWith("event: machine", events[^1], StringComparison.Ordinal);
        var path = $"/api/v1/machines/{Data(events[^1])["id"]}";

        var kept = (await platform.Http.GetFromJsonAsync<JsonNode>($"{path}/console"))!;
        Assert.Equal(told, Encoding.UTF8.GetString(Convert.FromBase64String((string)kept["items"]![0]!["data"]!))[..told.Length]);
        using var stranger = await platform.AnotherTeamAsync();
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.GetAsync($"{path}/console")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.PostAsync($"{path}/sync", null)).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, (await platform.Http.PostAsync($"{path}/sync", null)).StatusCode);

        // Live until the machine is gone.
        using var live = new HttpRequestMessage(HttpMethod.Get, $"{path}/console?from={kept["next"]}") { Headers = { { "Accept", "text/event-stream" } } };
        var following = platform.Http.SendAsync(live);
        _ = await RunAsync(path, "echo by hand >/dev/console");
        await Task.Delay(500, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NoContent, (await platform.Http.DeleteAsync(path)).StatusCode);
        var text = await (await following).Content.ReadAsStringAsync();
        Assert.EndsWith("event: end\ndata: {}\n\n", text, StringComparison.Ordinal);
        Assert.Contains("by hand", string.Concat(text.Split("\n\n").Where(e => e.Contains("event: console", StringComparison.Ordinal)).Select(e => Encoding.UTF8.GetString(Convert.FromBase64String((string)Data(e)["data"]!)))), StringComparison.Ordinal);
    }

    [Fact]
    public async Task SpawnWithEvents_Wrong_EndsWithTheProblem()
    {
        using var asked = new HttpRequestMessage(HttpMethod.Post, "/api/v1/machines") { Content = JsonContent.Create(new { name = "a", @ref = "NO" }), Headers = { { "Accept", "text/event-stream" } } };
        using var response = await platform.Http.SendAsync(asked);
        var last = (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries)[^1];

        Assert.StartsWith("event: problem", last, StringComparison.Ordinal);
        Assert.Equal(("machine_invalid", 400), ((string?)Data(last)["code"], (int)Data(last)["status"]!));
    }

    private static JsonNode Data(string text) => JsonNode.Parse(text[(text.IndexOf("data: ", StringComparison.Ordinal) + 6)..])!;

    private async Task<string> SpawnAsync(object request)
    {
        using var spawned = await platform.Http.PostAsJsonAsync("/api/v1/machines", request);
        Assert.True(spawned.StatusCode == HttpStatusCode.Created, await spawned.Content.ReadAsStringAsync());
        return $"/api/v1/machines/{(await spawned.Content.ReadFromJsonAsync<JsonNode>())!["id"]}";
    }

    private async Task<string> RunAsync(string machine, string script)
    {
        using var ran = await platform.Http.PostAsJsonAsync($"{machine}/exec", new { command = new[] { "sh", "-c", script } });
        Assert.True(ran.IsSuccessStatusCode, await ran.Content.ReadAsStringAsync());
        var result = (await ran.Content.ReadFromJsonAsync<JsonNode>())!;
        Assert.True((int?)result["exitCode"] == 0, result.ToJsonString());
        return (string)result["output"]!;
    }

    private async Task<JsonNode> PutAsync(string name, (string, string)[] files, bool replaceData = false)
    {
        using var response = await SendAsync(name, Archive(files), replaceData);
        Assert.True(response.StatusCode == HttpStatusCode.OK, await response.Content.ReadAsStringAsync());
        return (await response.Content.ReadFromJsonAsync<JsonNode>())!;
    }

    private async Task<HttpResponseMessage> SendAsync(string name, byte[] archive, bool replaceData = false) =>
        await platform.Http.PutAsJsonAsync($"/api/v1/templates/{name}", new { upload = new { id = await UploadAsync(platform.Http, archive) }, replaceData });

    private static async Task<string> UploadAsync(HttpClient http, byte[] archive)
    {
        var upload = await (await http.PostAsJsonAsync("/api/v1/uploads", new { })).Content.ReadFromJsonAsync<JsonNode>();
        using var sent = await http.PutAsync((string)upload!["url"]!, new ByteArrayContent(archive));
        Assert.Equal(HttpStatusCode.NoContent, sent.StatusCode);
        return (string)upload["id"]!;
    }

    private static byte[] Archive((string Name, string Content)[] files) => TestPlatform.Zip(files);

    private async Task<Dictionary<string, string>> ReadAsync(string template)
    {
        await using var stream = await platform.Http.GetStreamAsync($"/api/v1/templates/{template}/archive");
        await using var gzip = new GZipStream(stream, CompressionMode.Decompress);
        using var tar = new TarReader(gzip);
        var files = new Dictionary<string, string>();
        while (await tar.GetNextEntryAsync() is { } entry)
        {
            if (entry.EntryType is TarEntryType.RegularFile or TarEntryType.V7RegularFile)
                files[entry.Name] = entry.DataStream is null ? "" : await new StreamReader(entry.DataStream).ReadToEndAsync();
        }

        return files;
    }
}
