using System.Diagnostics;
using System.Net;
using EndToEnd.Tests.Platform;

namespace EndToEnd.Tests.Samples;

/// <summary>Switching, rolling back and surviving, with requests coming all the while.</summary>
public class ReleaseTests(RunningPlatform platform)
{
    private const string Server = """
        const http = require('http');
        const server = http.createServer((request, response) => setTimeout(() => response.end('VERSION'), 20));
        server.listen(process.env.PORT, '0.0.0.0');
        process.on('SIGTERM', () => server.close(() => process.exit(0)));
        console.log('up VERSION');
        """;

    [Fact]
    public async Task Redeploy_UnderLoad_FailsNoRequestAndRollbackIsQuick()
    {
        await platform.DeployLiveAsync(Source("one"), "loaded");
        using var stop = new CancellationTokenSource();
        var load = Enumerable.Range(0, 4).Select(_ => LoadAsync(stop.Token)).ToList();

        await platform.DeployLiveAsync(Source("two"), "loaded");
        Assert.Equal("two", await platform.PageAsync("loaded"));
        var began = Stopwatch.StartNew();
        var (code, output, error) = await platform.CliAsync("rollback", "loaded", "--json");
        var took = began.Elapsed;
        await Task.Delay(500);
        await stop.CancelAsync();
        var results = await Task.WhenAll(load);

        Assert.True(code == 0, output + error);
        Assert.Equal("one", await platform.PageAsync("loaded"));
        // The earlier machine still runs while it drains, so no boot is waited for.
        Assert.True(took < TimeSpan.FromSeconds(3), $"The rollback took {took}.");
        Assert.Equal([], results.SelectMany(r => r.Failures));
        Assert.True(results.Sum(r => r.Requests) > 100, $"Only {results.Sum(r => r.Requests)} requests were made.");
    }

    [Fact]
    public async Task KillServer_WithAppsRunning_AppsStayAndAreAdopted()
    {
        await platform.DeployLiveAsync(Source("steady"), "steady");
        var before = Assert.Single(await platform.MachinesAsync("steady"))!;
        var address = (string)before["address"]!;

        await platform.KillServerAsync();
        using var direct = new HttpClient { Timeout = TimeSpan.FromSeconds(10) };
        Assert.Equal("steady", await direct.GetStringAsync($"http://{address}:8080/"));
        await platform.StartServerAsync();

        Assert.Equal("steady", await platform.PageAsync("steady"));
        var after = Assert.Single(await platform.MachinesAsync("steady"))!;
        Assert.Equal((string?)before["id"], (string?)after["id"]);
        var (_, logs, _) = await platform.CliAsync("logs", "steady", "--json");
        Assert.Equal(1, logs.Split("up steady").Length - 1);
    }

    [Fact]
    public async Task KillServer_DuringABuild_BuildIsResumed()
    {
        var source = platform.Folder(
            ("package.json", """{"name":"slow","scripts":{"build":"node -e \"setTimeout(() => require('fs').writeFileSync('built.txt', 'done'), 4000)\"","start":"node server.js"}}"""),
            ("server.js", "require('http').createServer((q, r) => r.end(require('fs').readFileSync('built.txt'))).listen(process.env.PORT)"));
        var (code, output, error) = await platform.CliAsync("deploy", source, "--project", "resumed", "--no-wait", "--json");
        Assert.True(code == 0, output + error);
        await WaitForAsync("resumed", "build", "running");
        await Task.Delay(2000);

        await platform.KillServerAsync();
        await platform.StartServerAsync();

        var deployment = await FinishedAsync("resumed", 1);
        Assert.True(deployment == "live", await platform.BuildLogAsync("resumed", 1));
        Assert.Equal("done", await platform.PageAsync("resumed"));
    }

    [Fact]
    public async Task Crash_OfTheProcess_IsRestartedWithBackOff()
    {
        await platform.DeployLiveAsync(platform.Folder(("package.json", """{"name":"c","scripts":{"start":"node server.js"}}"""), ("server.js", """
            require('http').createServer((q, r) => { if (q.url === '/crash') { console.error('falling over'); process.exit(3); } r.end('alive'); }).listen(process.env.PORT)
            """)), "crashing");

        using (await platform.VisitAsync("crashing", "/crash"))
        {
        }

        for (var began = Stopwatch.StartNew(); ; await Task.Delay(200))
        {
            using var response = await platform.VisitAsync("crashing");
            if (response.StatusCode == HttpStatusCode.OK)
            {
                break;
            }

            Assert.True(began.Elapsed < TimeSpan.FromSeconds(60), $"Not back: {response.StatusCode}");
        }

        Assert.Equal(1, (int)Assert.Single(await platform.MachinesAsync("crashing"))!["restarts"]!);
        var (_, logs, _) = await platform.CliAsync("logs", "crashing", "--json");
        Assert.Contains("falling over", logs, StringComparison.Ordinal);
    }

    private string Source(string version) => platform.Folder(
        ("package.json", """{"name":"v","scripts":{"start":"node server.js"}}"""),
        ("server.js", Server.Replace("VERSION", version, StringComparison.Ordinal)));

    private async Task<(int Requests, List<string> Failures)> LoadAsync(CancellationToken stop)
    {
        var requests = 0;
        var failures = new List<string>();
        while (!stop.IsCancellationRequested)
        {
            try
            {
                using var response = await platform.VisitAsync("loaded");
                var body = await response.Content.ReadAsStringAsync(CancellationToken.None);
                if (response.StatusCode != HttpStatusCode.OK || body is not ("one" or "two"))
                {
                    failures.Add($"{response.StatusCode}: {body}");
                }
            }
            catch (HttpRequestException exception)
            {
                failures.Add(exception.Message);
            }

            requests++;
        }

        return (requests, failures);
    }

    private async Task WaitForAsync(string project, string step, string status)
    {
        for (var began = Stopwatch.StartNew(); began.Elapsed < TimeSpan.FromSeconds(60); await Task.Delay(50))
        {
            var page = await platform.Api.GetStringAsync($"/api/v1/projects/{project}/deployments/1");
            var steps = System.Text.Json.Nodes.JsonNode.Parse(page)!["steps"]!.AsArray();
            if (steps.Any(s => (string?)s!["name"] == step && (string?)s["status"] == status))
            {
                return;
            }
        }

        Assert.Fail($"Step {step} of {project} was not {status} in time.");
    }

    private async Task<string?> FinishedAsync(string project, int number)
    {
        for (var began = Stopwatch.StartNew(); began.Elapsed < TimeSpan.FromMinutes(3); await Task.Delay(200))
        {
            var view = System.Text.Json.Nodes.JsonNode.Parse(await platform.Api.GetStringAsync($"/api/v1/projects/{project}/deployments/{number}"))!;
            if (view["finishedAt"] is not null)
            {
                return (string?)view["status"];
            }
        }

        return null;
    }
}
