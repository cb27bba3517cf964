using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using BytePort.Server.Tests.Platform;

namespace BytePort.Server.Tests.Deployments;

public class StaticDeploymentTests(TestPlatform platform)
{
    [Fact]
    public async Task Deploy_Archive_IsServedAndRolledBack()
    {
        var first = await platform.FinishAsync(await platform.DeployAsync("pages", TestPlatform.Zip(("index.html", "<h1>one</h1>"), ("about.html", "about"))));
        Assert.Equal("live", (string?)first["status"]);
        Assert.All(first["steps"]!.AsArray(), step => Assert.Equal("done", (string?)step!["status"]));
        Assert.Equal("<h1>one</h1>", (await platform.VisitAsync("pages")).Body);
        Assert.Equal("about", (await platform.VisitAsync("pages", "/about")).Body);

        await platform.FinishAsync(await platform.DeployAsync("pages", TestPlatform.Zip(("index.html", "<h1>two</h1>"))));
        Assert.Equal("<h1>two</h1>", (await platform.VisitAsync("pages")).Body);

        var began = System.Diagnostics.Stopwatch.StartNew();
        using var rollback = await platform.Http.PostAsync("/api/v1/projects/pages/rollback", null);
        Assert.Equal(HttpStatusCode.Accepted, rollback.StatusCode);
        Assert.Equal("<h1>one</h1>", (await platform.VisitAsync("pages")).Body);
        Assert.True(began.Elapsed < TimeSpan.FromSeconds(2), $"The rollback took {began.Elapsed}.");
        var view = await rollback.Content.ReadFromJsonAsync<JsonNode>();
        Assert.Equal((1, true), ((int)view!["number"]!, (bool)view["serving"]!));

        using var forward = await platform.Http.PostAsync("/api/v1/projects/pages/deployments/2/activate", null);
        Assert.Equal("<h1>two</h1>", (await platform.VisitAsync("pages")).Body);
    }

    [Theory]
    [InlineData("../evil.txt", "source_bad_entry")]
    [InlineData("/etc/evil", "source_bad_entry")]
    public async Task Deploy_DangerousArchive_FailsAndTheOldReleaseServes(string entry, string code)
    {
        var project = "bad-" + Math.Abs(entry.GetHashCode(StringComparison.Ordinal) % 10_000);
        await platform.FinishAsync(await platform.DeployAsync(project, TestPlatform.Zip(("index.html", "good"))));

        var bad = await platform.FinishAsync(await platform.DeployAsync(project, TestPlatform.Zip(("index.html", "bad"), (entry, "evil"))));

        Assert.Equal(("failed", code), ((string?)bad["status"], (string?)bad["code"]));
        Assert.Contains(entry, (string?)bad["reason"], StringComparison.Ordinal);
        Assert.Equal("good", (await platform.VisitAsync(project)).Body);
        Assert.Equal(["failed", "skipped", "skipped", "skipped", "skipped"], bad["steps"]!.AsArray().Select(step => (string?)step!["status"]));
    }

    [Fact]
    public async Task Deploy_NoArchive_FailsWithReason()
    {
        var failed = await platform.FinishAsync(await platform.DeployAsync("not-a-zip", "hello"u8.ToArray()));

        Assert.Equal("source_bad_archive", (string?)failed["code"]);
        Assert.Equal(HttpStatusCode.NotFound, (await platform.VisitAsync("not-a-zip")).Status);
    }

    [Fact]
    public async Task Log_AsEventStream_ResumesAfterTheLastEventSeen()
    {
        var deployment = await platform.DeployAsync("streamed", TestPlatform.Zip(("index.html", "x")));
        var url = $"/api/v1/projects/streamed/deployments/{deployment["number"]}/logs";
        var all = await EventsAsync(url, null);
        var logs = all.Where(e => e.Type == "log").ToList();

        var rest = await EventsAsync(url, logs[0].Id);

        Assert.True(logs.Count >= 2);
        Assert.Equal(logs.Skip(1).Select(e => e.Id), rest.Where(e => e.Type == "log").Select(e => e.Id));
        Assert.Equal("end", all[^1].Type);
        Assert.Contains(all, e => e.Type == "deployment" && e.Data.Contains("\"live\"", StringComparison.Ordinal));
        var page = await platform.Http.GetFromJsonAsync<JsonNode>(url);
        Assert.Equal(logs.Count, page!["items"]!.AsArray().Count);
        Assert.True((bool)page["end"]!);
    }

    [Fact]
    public async Task Deploy_UnchangedSource_ReusesTheArtifact()
    {
        var archive = TestPlatform.Zip(("index.html", "same"));
        await platform.FinishAsync(await platform.DeployAsync("same", archive));
        var again = await platform.FinishAsync(await platform.DeployAsync("same", archive));

        var log = await platform.Http.GetStringAsync($"/api/v1/projects/same/deployments/{again["number"]}/logs");
        Assert.Contains("the artifact of an earlier build is used", log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Destroy_Project_StopsServingAndFreesTheName()
    {
        await platform.FinishAsync(await platform.DeployAsync("doomed", TestPlatform.Zip(("index.html", "x"))));
        using var destroyed = await platform.Http.DeleteAsync("/api/v1/projects/doomed");

        Assert.Equal(HttpStatusCode.NoContent, destroyed.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await platform.VisitAsync("doomed")).Status);
        await platform.FinishAsync(await platform.DeployAsync("doomed", TestPlatform.Zip(("index.html", "again"))));
        Assert.Equal("again", (await platform.VisitAsync("doomed")).Body);
    }

    [Theory]
    [InlineData("{}", "source_missing")]
    [InlineData("""{"source":{"git":{"url":"ext::sh -c id"}}}""", "source_bad_url")]
    [InlineData("""{"source":{"git":{"url":"file:///etc"}}}""", "source_bad_url")]
    [InlineData("""{"source":{"git":{"url":"/etc"}}}""", "source_bad_url")]
    [InlineData("""{"source":{"upload":{"id":"00000000-0000-0000-0000-000000000001"}}}""", "upload_missing")]
    [InlineData("{\"source\":", "bad_request")]
    public async Task Create_BadRequest_NamesWhatIsWrong(string body, string code)
    {
        using var response = await platform.Http.PostAsync("/api/v1/projects/x/deployments", new StringContent(body, System.Text.Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(code, (string?)(await response.Content.ReadFromJsonAsync<JsonNode>())!["code"]);
    }

    [Theory]
    [InlineData("Shop")]
    [InlineData("1shop")]
    [InlineData("a--b")]
    [InlineData("-a")]
    [InlineData("www")]
    [InlineData("")]
    public async Task CreateProject_BadName_IsRefused(string name)
    {
        using var response = await platform.Http.PostAsJsonAsync("/api/v1/projects", new { name });

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Upload_SecondTimeAndAfterwards_IsGone()
    {
        var upload = await (await platform.Http.PostAsJsonAsync("/api/v1/uploads", new { })).Content.ReadFromJsonAsync<JsonNode>();
        using var first = await platform.Http.PutAsync((string)upload!["url"]!, new ByteArrayContent([1]));
        using var second = await platform.Http.PutAsync((string)upload["url"]!, new ByteArrayContent([2]));

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.Gone), (first.StatusCode, second.StatusCode));
    }

    private async Task<List<(string Type, string? Id, string Data)>> EventsAsync(string url, string? last)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.Accept.ParseAdd("text/event-stream");
        if (last is not null)
        {
            request.Headers.Add("Last-Event-ID", last);
        }

        using var response = await platform.Http.SendAsync(request);
        var events = new List<(string, string?, string)>();
        foreach (var block in (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            var fields = block.Split('\n').Where(line => !line.StartsWith(':')).Select(line => line.Split(": ", 2)).ToDictionary(f => f[0], f => f[1]);
            if (fields.TryGetValue("event", out var type))
            {
                events.Add((type, fields.GetValueOrDefault("id"), fields["data"]));
            }
        }

        return events;
    }
}
