using System.Text.Json.Nodes;
using EndToEnd.Tests.Platform;

namespace EndToEnd.Tests.Samples;

/// <summary>Services of a project that speak to each other, and to those of no other project.</summary>
public class PrivateNameTests(RunningPlatform platform)
{
    private const string Package = """{"name":"names","scripts":{"start":"node server.js"}}""";

    /// <summary>Answers by what it gets from the address in its query.</summary>
    private const string Web = """
        const http = require('http');
        http.createServer((q, r) => {
          const url = new URL(q.url, 'http://x').searchParams.get('of');
          if (!url) return r.end('web');
          http.get(url, { agent: false, timeout: 10000 }, a => a.pipe(r)).on('error', e => r.end('error ' + e.code)).on('timeout', function () { this.destroy() });
        }).listen(process.env.PORT);
        """;

    [Fact]
    public async Task Services_OfAProject_FindEachOtherByNameAndNoOthers()
    {
        await platform.DeployLiveAsync(Project("first"), "names");
        await platform.DeployLiveAsync(Project("of another project"), "strangers");
        Assert.Equal("first", await GetAsync("names", "http://api.internal:8080/"));
        Assert.Equal("of another project", await GetAsync("strangers", "http://api.internal:8080/"));
        var foreign = (await platform.MachinesAsync("strangers")).Single(machine => (string?)machine!["service"] == "api")!;
        Assert.StartsWith("error ", await GetAsync("names", $"http://{(string?)foreign["address"]}:8080/"), StringComparison.Ordinal);
        Assert.Equal("error ENOTFOUND", await GetAsync("names", "http://nobody.internal:8080/"));

        // The name leads to what serves: to the new release once it does, and back.
        await platform.DeployLiveAsync(Project("second"), "names");
        await AssertComesAsync("second");
        var (code, output, error) = await platform.CliAsync("rollback", "names");
        Assert.True(code == 0, output + error);
        await AssertComesAsync("first");

        // Services go on by their names while no server runs, and when one runs again.
        await platform.KillServerAsync();
        await platform.StartServerAsync();
        Assert.Equal("first", await GetAsync("names", "http://api.internal:8080/"));
        foreach (var project in new[] { "names", "strangers" })
            await platform.CliAsync("destroy", project, "--yes");
    }

    private Task<string> GetAsync(string project, string url) => platform.PageAsync(project, $"/?of={Uri.EscapeDataString(url)}");

    private async Task AssertComesAsync(string expected)
    {
        var answer = "";
        for (var tries = 0; tries < 50 && answer != expected; tries++)
        {
            await Task.Delay(100);
            answer = await GetAsync("names", "http://api.internal:8080/");
        }

        Assert.Equal(expected, answer);
    }

    private string Project(string answer) => platform.Folder(
        ("byteport.yaml", "services:\n  web: { path: web, runtime: node@22, start: node server.js, size: tier-2 }\n  api: { path: api, runtime: node@22, start: node server.js, routes: [/api] }\n"),
        ("web/package.json", Package),
        ("web/server.js", Web),
        ("api/package.json", Package),
        ("api/server.js", $"require('http').createServer((q, r) => r.end({JsonValue.Create(answer).ToJsonString()})).listen(process.env.PORT)"));
}
