using System.Formats.Tar;
using System.IO.Compression;
using System.Text.Json.Nodes;
using EndToEnd.Tests.Platform;

namespace EndToEnd.Tests.Machines;

/// <summary>Machines by themselves through the CLI, over a server that is killed.</summary>
public sealed class MachineTemplateTests(RunningPlatform platform) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("byteport-e2e-template-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Theory]
    [InlineData("qemu")]
    [InlineData("container")]
    public async Task Spawn_FromANewTemplate_SurvivesTheServerAndGivesItsDataBack(string driver)
    {
        var name = $"box-{driver}";
        var box = Path.Combine(_folder, name);
        await RunAsync("machine", "new", box, "--template", "--memory", "192M", "--network", "none", "--driver", driver);
        Assert.NotEqual(0, (await platform.CliAsync("machine", "new", box)).Code);
        await WriteAsync(Path.Combine(box, "config/etc/greeting"), "hello\n");
        await File.AppendAllTextAsync(Path.Combine(box, "scripts/on-boot"), "cp /etc/greeting /data/greeted\n");
        await WriteAsync(Path.Combine(box, "scripts/before-shutdown"), "#!/bin/sh\necho down >/data/down\n");

        var id = (await RunAsync("machine", "spawn", "-t", box, "--", "sleep", "10000")).Trim();
        await platform.KillServerAsync();
        await platform.StartServerAsync();

        var machines = JsonNode.Parse(await RunAsync("machine", "ls", "--json"))!.AsArray();
        var machine = machines.Single(item => (string?)item!["id"] == id)!;
        Assert.Equal(("running", name, driver), ((string?)machine["state"], (string?)machine["template"], (string?)machine["driver"]));
        Assert.Equal("hello\n", await RunAsync("machine", "exec", id, "--", "cat", "/etc/greeting"));
        await RunAsync("machine", "exec", id, "--", "sh", "-c", "echo after >/data/after");
        await RunAsync("machine", "stop", id);

        var archive = Path.Combine(_folder, $"{name}.tar.gz");
        await RunAsync("template", "pull", name, "-o", archive);
        var data = new List<string>();
        await using (var stream = new GZipStream(File.OpenRead(archive), CompressionMode.Decompress))
        await using (var tar = new TarReader(stream))
        {
            while (await tar.GetNextEntryAsync() is { } entry)
            {
                if (entry.EntryType != TarEntryType.Directory && entry.Name.StartsWith("data/", StringComparison.Ordinal))
                    data.Add(entry.Name);
            }
        }

        Assert.Equal(["data/.keep", "data/after", "data/down", "data/greeted"], data);
        await RunAsync("template", "rm", name);
        Assert.Equal("[]\n", await RunAsync("template", "ls", "--json"));
    }

    [Fact]
    public async Task Spawn_WithConsole_TellsTheBootFromItsFirstLine()
    {
        await RunAsync("machine", "new", Path.Combine(_folder, "talks"), "--memory", "128M", "--network", "none");
        // It shows the console until the machine is gone.
        var showing = platform.CliAsync(TimeSpan.FromMinutes(1), "machine", "spawn", "-f", Path.Combine(_folder, "talks/hac.toml"), "--console");
        for (var tries = 0; ; tries++)
        {
            Assert.True(tries < 200, "It did not start.");
            if (JsonNode.Parse(await RunAsync("machine", "ls", "--json"))!.AsArray().FirstOrDefault(machine => (string?)machine!["name"] == "talks") is { } machine)
            {
                await RunAsync("machine", "rm", (string)machine["id"]!);
                break;
            }

            await Task.Delay(100, TestContext.Current.CancellationToken);
        }

        var (code, output, error) = await showing;
        Assert.True(code == 0, error);
        Assert.Contains("Linux version", output.Split('\n')[0], StringComparison.Ordinal);
        Assert.Matches("machine [a-z0-9]{12} runs", error);
    }

    private async Task<string> RunAsync(params string[] arguments)
    {
        var (code, output, error) = await platform.CliAsync(arguments);
        Assert.True(code == 0, $"byteport {string.Join(' ', arguments)} ended with {code}: {output} {error}");
        return output;
    }

    private static async Task WriteAsync(string path, string text)
    {
        _ = Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await File.WriteAllTextAsync(path, text);
    }
}
