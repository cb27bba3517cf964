using System.Text.Json.Nodes;
using EndToEnd.Tests.Platform;

namespace EndToEnd.Tests.Samples;

/// <summary>Every sample from its Git repository to its public address.</summary>
public class SampleTests(RunningPlatform platform)
{
    [Fact]
    public async Task Deploy_PlainHtml_IsServedByTheEdge()
    {
        var result = await platform.DeployLiveAsync(platform.SampleUrl("plain-html"), "plain-html");

        Assert.Equal(("plain-html", 1), ((string?)result["project"], (int)result["deployment"]!));
        Assert.StartsWith("http://plain-html.localhost", (string?)result["url"], StringComparison.Ordinal);
        Assert.Contains("<html", await platform.PageAsync("plain-html"), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Deploy_Vite_IsBuiltInAMachineAndServed()
    {
        await platform.DeployLiveAsync(platform.SampleUrl("vite"), "vite");

        var page = await platform.PageAsync("vite");
        Assert.Contains("/assets/", page, StringComparison.Ordinal);
        var asset = page[page.IndexOf("/assets/", StringComparison.Ordinal)..];
        using var response = await platform.VisitAsync("vite", asset[..asset.IndexOf('"', StringComparison.Ordinal)]);
        Assert.Contains("immutable", response.Headers.CacheControl!.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Deploy_NodeServer_RunsOnAKernelOfItsOwn()
    {
        await platform.DeployLiveAsync(platform.SampleUrl("node-server"), "node-server");

        await AssertOwnKernelAsync("node-server");
        var machine = Assert.Single(await platform.MachinesAsync("node-server"));
        Assert.Equal(("running", "qemu"), ((string?)machine!["state"], (string?)machine["driver"]));
    }

    [Fact]
    public async Task Deploy_PythonServer_RunsOnAKernelOfItsOwn()
    {
        await platform.DeployLiveAsync(platform.SampleUrl("python-server"), "python-server");

        await AssertOwnKernelAsync("python-server");
    }

    [Fact]
    public async Task Deploy_Unified_JoinsSiteAndApiUnderOneAddress()
    {
        await platform.DeployLiveAsync(platform.SampleUrl("unified"), "unified");

        Assert.Contains("<html", await platform.PageAsync("unified"), StringComparison.OrdinalIgnoreCase);
        Assert.NotNull(JsonNode.Parse(await platform.PageAsync("unified", "/api/name")));
    }

    private async Task AssertOwnKernelAsync(string project)
    {
        var page = await platform.PageAsync(project);
        var host = (await File.ReadAllTextAsync("/proc/sys/kernel/osrelease")).Trim();
        Assert.DoesNotContain(host, page, StringComparison.Ordinal);
        Assert.Contains("6.1.", page, StringComparison.Ordinal);
    }
}
