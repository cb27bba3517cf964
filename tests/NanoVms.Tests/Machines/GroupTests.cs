using NanoVms.Machines;
using NanoVms.Tests.Agent;

namespace NanoVms.Tests.Machines;

/// <summary>Machines that know each other by name and reach each other, and others that do neither: real guests of two drivers.</summary>
[Collection(nameof(MachineHostTests))]
public sealed class GroupTests
{
    private const string Serving = "while true; do cat /etc/hostname | nc -l -p 8080; done";
    private const string Group = "team/shop/production";

    [Fact]
    public async Task Group_MachinesThatComeAndGo_AreKnownToEachOtherAlone()
    {
        await using var test = await TestHost.OpenAsync(await AgentBinary.PathAsync);
        var web = await test.StartAsync("exec sleep 1000", spec => spec with { Name = "web", Group = Group, GroupName = "web", ReadOnlyRoot = true });
        var api = await ContainerAsync(test, "api-1", Group, "api", announced: false);
        var stranger = await ContainerAsync(test, "stranger", "team/blog/production", "api");

        // Not before it is announced.
        await AssertHostsAsync(web, [$"{web.Address}\tweb.internal"]);
        Assert.Equal("", await GetAsync(web, "api.internal"));
        api.SetAnnounced(true);
        await AssertHostsAsync(web, [$"{web.Address}\tweb.internal", $"{api.Address}\tapi.internal"]);
        Assert.Equal("api-1", await GetAsync(web, "api.internal"));
        await AssertHostsAsync(api, [$"{web.Address}\tweb.internal", $"{api.Address}\tapi.internal"]);

        // Others are neither known nor reached, in either direction.
        await AssertHostsAsync(stranger, [$"{stranger.Address}\tapi.internal"]);
        Assert.Equal("", await GetAsync(stranger, api.Address!.ToString()));
        Assert.Equal("", await GetAsync(web, stranger.Address!.ToString()));

        // One that starts knows what is there already; one that ends is forgotten, also by those that another host object adopted.
        var second = await ContainerAsync(test, "api-2", Group, "api");
        Assert.Contains($"{api.Address}\tapi.internal", await HostsAsync(second), StringComparison.Ordinal);
        await AssertHostsAsync(web, [$"{web.Address}\tweb.internal", $"{api.Address}\tapi.internal", $"{second.Address}\tapi.internal"]);
        await test.ReopenAsync();
        web = test.Host.Find(web.Id)!;
        await test.Host.Find(api.Id)!.StopAsync(TimeSpan.Zero, CancellationToken.None);
        await AssertHostsAsync(web, [$"{web.Address}\tweb.internal", $"{second.Address}\tapi.internal"]);
        Assert.Equal("api-2", await GetAsync(web, "api.internal"));

        // A paused guest is told when it goes on.
        await web.PauseAsync(CancellationToken.None);
        test.Host.Find(second.Id)!.SetAnnounced(false);
        await web.ResumeAsync(CancellationToken.None);
        await AssertHostsAsync(web, [$"{web.Address}\tweb.internal"]);

        foreach (var machine in test.Host.Machines)
            await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Empty(await test.LeftoversAsync());
    }

    private static Task<Machine> ContainerAsync(TestHost test, string name, string group, string groupName, bool announced = true) => test.StartAsync(
        Serving, spec => spec with { Name = name, Driver = "container", Group = group, GroupName = groupName, Announced = announced });

    private static async Task AssertHostsAsync(Machine machine, string[] expected)
    {
        var hosts = "";
        for (var tries = 0; tries < 50; tries++)
        {
            hosts = await HostsAsync(machine);
            if (hosts.Split('\n').Where(line => line.EndsWith(".internal", StringComparison.Ordinal)).ToHashSet().SetEquals(expected))
                return;
            await Task.Delay(100);
        }

        Assert.Fail($"{machine.Spec.Name} has the names:\n{hosts}");
    }

    private static async Task<string> HostsAsync(Machine machine) => (await TestHost.RunAsync(machine, "cat /etc/hosts")).Output;

    /// <summary>By address or private name: the static busybox cannot resolve names by itself.</summary>
    private static async Task<string> GetAsync(Machine machine, string host) => (await TestHost.RunAsync(
        machine, $"address=$(busybox awk '$2==\"{host}\"{{print $1; exit}}' /etc/hosts); nc -w 2 ${{address:-{host}}} 8080 </dev/null 2>/dev/null")).Output;
}
