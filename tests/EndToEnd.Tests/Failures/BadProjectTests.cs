using System.Formats.Tar;
using System.IO.Compression;
using System.Text.Json.Nodes;
using EndToEnd.Tests.Platform;

namespace EndToEnd.Tests.Failures;

/// <summary>What must not work: each with a clear reason, and the old release serves on.</summary>
public class BadProjectTests(RunningPlatform platform)
{
    private const string Package = """{"name":"bad","scripts":{"start":"node server.js"}}""";

    [Fact]
    public async Task Deploy_BuildThatFails_SaysTheCommandAndKeepsTheOldRelease()
    {
        await GoodAsync("build-fails");
        var failed = await platform.DeployAsync(Node("process.exit(0)", "echo about to fail; exit 7"), "build-fails");

        AssertFailed(failed, "build_failed", "7");
        await AssertOldServesAsync("build-fails");
    }

    [Fact]
    public async Task Deploy_BuildThatEatsMemory_IsStoppedInItsMachine()
    {
        await GoodAsync("build-eats");
        var failed = await platform.DeployAsync(Node("", "node --max-old-space-size=16000 -e 'const a=[];for(;;)a.push(Buffer.alloc(50e6,1))'"), "build-eats");

        AssertFailed(failed, "build_out_of_memory", "memory");
        await AssertOldServesAsync("build-eats");
    }

    [Fact]
    public async Task Deploy_AppThatExitsAtOnce_ShowsItsLastLines()
    {
        await GoodAsync("exits");
        var failed = await platform.DeployAsync(Node("console.log('cannot find my database'); process.exit(4)"), "exits");

        AssertFailed(failed, "release_failed", "cannot find my database");
        await AssertOldServesAsync("exits");
    }

    [Fact]
    public async Task Deploy_AppThatNeverBinds_SaysSoAfterTheTimeToBind()
    {
        await GoodAsync("never-binds");
        var failed = await platform.DeployAsync(Node("setInterval(() => {}, 1000)"), "never-binds");

        AssertFailed(failed, "release_failed", "$PORT");
        await AssertOldServesAsync("never-binds");
    }

    [Fact]
    public async Task Deploy_BuildThatHangs_CanBeCanceled()
    {
        await GoodAsync("hangs");
        await platform.CliAsync("deploy", Node("", "echo hanging; sleep 3600"), "--project", "hangs", "--no-wait");
        for (var tries = 0; tries < 400 && !(await platform.BuildLogAsync("hangs", 2)).Contains("hanging", StringComparison.Ordinal); tries++)
        {
            await Task.Delay(100);
        }

        var (code, output, error) = await platform.CliAsync("cancel", "hangs");

        Assert.True(code == 0, output + error);
        JsonNode view;
        var tried = 0;
        do
        {
            await Task.Delay(100);
            view = JsonNode.Parse(await platform.Api.GetStringAsync("/api/v1/projects/hangs/deployments/2"))!;
        }
        while (view["finishedAt"] is null && tried++ < 100);

        Assert.Equal("canceled", (string?)view["status"]);
        await AssertOldServesAsync("hangs");
    }

    [Fact]
    public async Task Run_AppThatFloodsItsLog_IsBoundedAndStillServes()
    {
        await platform.DeployLiveAsync(Node("require('http').createServer((q, r) => r.end('still here')).listen(process.env.PORT); const flood = () => { for (let i = 0; i < 500; i++) console.log('flood '.repeat(20)); setImmediate(flood) }; flood()"), "floods");
        await Task.Delay(5000);

        Assert.Equal("still here", await platform.PageAsync("floods"));
        var kept = Directory.GetFiles(Path.Combine(platform.DataFolder, "logs"), "*.log", SearchOption.AllDirectories).Sum(file => new FileInfo(file).Length);
        Assert.True(kept < 40 << 20, $"{kept} bytes of log are kept.");
        await platform.CliAsync("destroy", "floods", "--yes");
    }

    [Fact]
    public async Task Deploy_ZipBomb_IsRefusedBeforeItUnpacks()
    {
        var zip = Path.Combine(platform.Folder(("x", "")), "bomb.zip");
        using (var archive = ZipFile.Open(zip, ZipArchiveMode.Create))
        {
            using var entry = archive.CreateEntry("zeros", CompressionLevel.Optimal).Open();
            var zeros = new byte[1 << 20];
            for (var i = 0; i < 600; i++)
            {
                entry.Write(zeros);
            }
        }

        AssertFailed(await platform.DeployAsync(zip, "bomb"), "source_too_large", "zeros");
    }

    [Fact]
    public async Task Deploy_LinkOutOfTheSource_IsRefusedByName()
    {
        var tar = Path.Combine(platform.Folder(("x", "")), "links.tar.gz");
        await using (var file = File.Create(tar))
        await using (var gzip = new GZipStream(file, CompressionLevel.Fastest))
        await using (var writer = new TarWriter(gzip))
        {
            await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.SymbolicLink, "escape") { LinkName = "../../../etc/shadow" });
        }

        AssertFailed(await platform.DeployAsync(tar, "links"), "source_bad_entry", "escape");
    }

    [Theory]
    [InlineData("ext::sh -c id")]
    [InlineData("file:///etc")]
    public async Task Deploy_ForbiddenGitUrl_IsRefused(string url)
    {
        var (code, output, error) = await platform.CliAsync("deploy", url, "--project", "forbidden");

        Assert.NotEqual(0, code);
        Assert.Contains(url.Split(':')[0], output + error, StringComparison.Ordinal);
    }

    private string Node(string server, string? build = null) => platform.Folder(
        ("package.json", build is null ? Package : new JsonObject { ["name"] = "bad", ["scripts"] = new JsonObject { ["start"] = "node server.js", ["build"] = build } }.ToJsonString()),
        ("server.js", server));

    private Task GoodAsync(string project) => platform.DeployLiveAsync(platform.Folder(("index.html", "good")), project);

    private async Task AssertOldServesAsync(string project) => Assert.Equal("good", await platform.PageAsync(project));

    private static void AssertFailed(JsonNode deployment, string code, string words)
    {
        Assert.Equal(("failed", code), ((string?)deployment["status"], (string?)deployment["code"]));
        Assert.Contains(words, (string?)deployment["reason"], StringComparison.Ordinal);
    }
}
