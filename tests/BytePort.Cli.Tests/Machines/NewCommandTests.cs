using BytePort.Cli.Tests.Fakes;
using BytePort.Manifest.Hac;

namespace BytePort.Cli.Tests.Machines;

public sealed class NewCommandTests
{
    [Fact]
    public async Task New_Options_WriteTheFileThatTheReaderReads()
    {
        using var cli = new Fakes.Cli();
        var (code, output, error) = await cli.RunAsync(
            "machine", "new", "box", "--description", "A \"box\"", "--os", "debian-12", "--cores", "2", "--memory", "512M", "--drive", "1G",
            "-p", "8081:80", "-p", "8443:443", "--network", "default", "--driver", "qemu", "--type", "q35", "--persistent", "--limit", "send_bits=20M", "--nested-virtualization");

        Assert.Equal((0, ""), (code, output));
        Assert.Contains("byteport machine spawn -f box/hac.toml", error, StringComparison.Ordinal);
        var file = (await HacReader.ReadFileAsync(Path.Combine(cli.Folder, "box/hac.toml"), "hac.toml", TestContext.Current.CancellationToken)).File!;
        Assert.Equal(("box", "A \"box\"", "debian-12", 2u, 512, "qemu", "q35", true), (file.Name, file.Description, file.Os, file.Cores, file.MemoryMiB, file.Driver, file.MachineType, file.IsPersistent));
        Assert.Equal((new MachineLimits { SendBits = 20_000_000 }, true), (file.Limits, file.NestedVirtualization));
        Assert.Equal((80, 443), (file.Ports[8081], file.Ports[8443]));
        Assert.Single(Directory.EnumerateFileSystemEntries(Path.Combine(cli.Folder, "box")));
    }

    [Fact]
    public async Task New_FileIsThere_IsNotOverwritten()
    {
        using var cli = new Fakes.Cli();
        var path = cli.Write("hac.toml", "mine");

        var (code, _, error) = await cli.RunAsync("machine", "new");

        Assert.Equal(1, code);
        Assert.Contains("hac.toml is there already and is not overwritten", error, StringComparison.Ordinal);
        Assert.Equal("mine", await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task New_Wrong_SaysAllOfItAndWritesNothing()
    {
        using var cli = new Fakes.Cli();
        var (code, _, error) = await cli.RunAsync("machine", "new", "box", "--name", "No", "--cores", "many", "--port", "80", "--os", "debian-12", "--ref", "base");

        Assert.Equal(2, code);
        foreach (var expected in (string[])["spacecore.name must be", "hardware.cores must be", "hardware.ports must be", "both \"ref\" and \"os\""])
            Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(cli.Folder, "box")));
    }

    [Fact]
    public async Task New_Template_CanBePushed()
    {
        await using var server = new FakeServer();
        server.OnJson("POST /api/v1/uploads", new { id = "u1", url = $"{server.Url}put", expiresAt = "2026-01-01T00:00:00Z" }, 201);
        server.OnJson("PUT /put", new { }, 204);
        server.OnJson("PUT /api/v1/templates/box", new { name = "box", image = "base", driver = "auto", cores = 1, memoryMiB = 256, isPersistent = false, scripts = new[] { "on-boot" }, hasConfig = false, hasData = true, digest = "d", files = 3, size = 300, pushedAt = "2026-01-01T00:00:00Z" });
        server.OnJson("POST /api/v1/machines", new { id = "abc123", name = "box", state = "running", template = "box", accelerated = false, cpus = 1, memoryMiB = 256, restarts = 0 }, 201);
        using var cli = new Fakes.Cli(server);
        Assert.Equal(0, (await cli.RunAsync("machine", "new", "box", "--template")).Code);
        var script = Path.Combine(cli.Folder, "box/scripts/on-boot");
        Assert.StartsWith("#!/bin/sh\n", await File.ReadAllTextAsync(script, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.True(File.GetUnixFileMode(script).HasFlag(UnixFileMode.UserExecute));

        var (code, output, error) = await cli.RunAsync("machine", "spawn", "-t", "box", "-e", "A=b");

        Assert.True(code == 0, error);
        Assert.Equal("abc123\n", output);
        Assert.Equal(["POST /api/v1/uploads", "PUT /put", "PUT /api/v1/templates/box", "POST /api/v1/machines"], server.Asked);
        Assert.Equal("""{"upload":{"id":"u1"},"replaceData":false}""", server.Requests[2].Text);
        Assert.Contains("\"template\":\"box\"", server.Requests[3].Text, StringComparison.Ordinal);
        Assert.Contains("\"name\":null", server.Requests[3].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Spawn_Console_ShowsItHarmlesslyAndTheIdBesideIt()
    {
        await using var server = new FakeServer();
        server.On("POST /api/v1/machines", async (context, _) =>
        {
            await FakeServer.WriteEventAsync(context, "console", new { offset = 0, next = 12, data = Convert.ToBase64String("Linux \u001b]0;x\u0007ver"u8) });
            await FakeServer.WriteEventAsync(context, "machine", new { id = "abc123", name = "a", state = "running", accelerated = false, cpus = 1, memoryMiB = 256, restarts = 0 });
        });
        server.On("GET /api/v1/machines/abc123/console", async (context, _) =>
        {
            await FakeServer.WriteEventAsync(context, "console", new { offset = 12, next = 17, data = Convert.ToBase64String("sion\n"u8) }, 17);
            await FakeServer.WriteEventAsync(context, "console", new { offset = 117, next = 122, data = Convert.ToBase64String("last\n"u8) }, 122);
            await FakeServer.WriteEventAsync(context, "end", new { });
        });
        using var cli = new Fakes.Cli(server);
        cli.Write("hac.toml", "spacecore.name = 'a'\nhardware.ref = 'base'");

        var (code, output, error) = await cli.RunAsync("machine", "spawn", "--console");

        Assert.True(code == 0, error);
        Assert.Equal("Linux version\nlast\n", output);
        Assert.Contains("machine abc123 runs.", error, StringComparison.Ordinal);
        Assert.Contains("100 bytes of the console were not kept.", error, StringComparison.Ordinal);
        Assert.Contains("\"bootMessages\":true", server.Requests[0].Text, StringComparison.Ordinal);
    }
}
