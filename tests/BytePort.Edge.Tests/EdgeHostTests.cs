using System.Net;
using BytePort.Edge.Routing;
using BytePort.Edge.StaticFiles;
using BytePort.Edge.Tests.Proxying;
using Microsoft.AspNetCore.Http;

namespace BytePort.Edge.Tests;

public class EdgeHostTests
{
    private const string Host = "app.example";

    private static CancellationToken Canceled => TestContext.Current.CancellationToken;

    /// <summary>
    /// What a deployment does, a hundred times under load: a new copy starts, the route switches, the old copy drains and
    /// its port closes. No request may notice.
    /// </summary>
    [Fact]
    public async Task Update_HundredSwitchesUnderLoad_NoRequestFails()
    {
        await using var edge = await EdgeUnderTest.StartAsync();
        var version = 0;
        var upstream = await StartVersionAsync(version);
        edge.Route(Host, new ProxyTarget("app", [new("v0", upstream.Address)]));
        using var done = new CancellationTokenSource();
        var served = 0;
        var clients = Enumerable.Range(0, 8).Select(_ => Task.Run(
            async () =>
            {
                var seen = 0;
                while (!done.IsCancellationRequested)
                {
                    using var response = await edge.GetAsync(Host, "/");
                    var body = await response.Content.ReadAsStringAsync(Canceled);
                    Assert.True(response.StatusCode == HttpStatusCode.OK, $"{response.StatusCode} after {served} requests: {body}");
                    var answered = int.Parse(body.Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
                    Assert.True(answered >= seen, $"version {answered} answered after {seen}");
                    seen = answered;
                    Interlocked.Increment(ref served);
                }
            },
            Canceled)).ToArray();
        for (version = 1; version <= 100; version++)
        {
            var next = await StartVersionAsync(version);
            edge.Route(Host, new ProxyTarget("app", [new($"v{version}", next.Address)]));
            Assert.True(await edge.Edge.DrainAsync($"v{version - 1}", TimeSpan.FromSeconds(20), Canceled));
            await upstream.DisposeAsync();
            upstream = next;
            Assert.DoesNotContain(clients, client => client.IsFaulted);
        }

        await done.CancelAsync();
        await Task.WhenAll(clients);
        await upstream.DisposeAsync();
        Assert.True(served > 1000, $"only {served} requests were made");
    }

    [Fact]
    public async Task Update_StaticSwitchesUnderLoad_NoRequestFails()
    {
        await using var edge = await EdgeUnderTest.StartAsync();
        var sites = Enumerable.Range(0, 2).Select(i => new StaticSite([edge.File("index.html", new string((char)('a' + i), 5000))])).ToArray();
        edge.Route(Host, new StaticTarget(sites[0]));
        using var done = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 4).Select(_ => Task.Run(
            async () =>
            {
                var served = 0;
                for (; !done.IsCancellationRequested; served++)
                {
                    using var response = await edge.GetAsync(Host, "/");
                    var body = await response.Content.ReadAsStringAsync(Canceled);
                    Assert.True(response.IsSuccessStatusCode && body.Length == 5000 && body.Distinct().Count() == 1, body);
                }

                return served;
            },
            Canceled)).ToArray();
        for (var i = 1; i <= 100; i++)
        {
            edge.Route(Host, new StaticTarget(sites[i % 2]));
            await Task.Delay(5, Canceled);
        }

        await done.CancelAsync();
        Assert.All(await Task.WhenAll(clients), served => Assert.True(served > 0));
    }

    [Fact]
    public async Task Update_RequestUnderWay_FinishesWhereItBegan()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var slow = await UpstreamUnderTest.StartAsync(async context =>
        {
            await release.Task;
            await context.Response.WriteAsync("old");
        });
        await using var fast = await UpstreamUnderTest.StartAsync(context => context.Response.WriteAsync("new"));
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, new ProxyTarget("app", [new("old", slow.Address)]));
        var under = edge.GetAsync(Host, "/");
        while (edge.Edge.CountInFlight("old") == 0)
            await Task.Delay(10, Canceled);
        edge.Route(Host, new ProxyTarget("app", [new("new", fast.Address)]));
        Assert.Equal(1, edge.Edge.CountServiceInFlight("app"));
        Assert.False(await edge.Edge.DrainAsync("old", TimeSpan.FromMilliseconds(100), Canceled));
        using (var after = await edge.GetAsync(Host, "/"))
            Assert.Equal("new", await after.Content.ReadAsStringAsync(Canceled));
        var drained = edge.Edge.DrainAsync("old", TimeSpan.FromSeconds(20), Canceled);
        release.SetResult();
        using (var response = await under)
            Assert.Equal("old", await response.Content.ReadAsStringAsync(Canceled));
        Assert.True(await drained);
        Assert.Equal(0, edge.Edge.CountInFlight("old"));
    }

    [Fact]
    public async Task DrainAsync_UnknownUpstream_IsIdle()
    {
        var edge = new EdgeHost(TimeProvider.System);
        Assert.True(await edge.DrainAsync("nobody", TimeSpan.Zero, Canceled));
        Assert.Equal(0, edge.CountInFlight("nobody"));
        Assert.Null(edge.GetLastActivity("nothing"));
    }

    private static Task<UpstreamUnderTest> StartVersionAsync(int version) =>
        UpstreamUnderTest.StartAsync(async context =>
        {
            await Task.Delay(context.TraceIdentifier.GetHashCode(StringComparison.Ordinal) & 7);
            await context.Response.WriteAsync($"{version} {new string('x', 2000)}");
        });
}
