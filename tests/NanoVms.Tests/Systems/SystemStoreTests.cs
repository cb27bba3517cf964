using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Systems;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Systems;

/// <summary>Archives come from a web server of this process; suites of Debian are what the stacks' tests make all the time.</summary>
[Collection(nameof(MachineHostTests))]
public sealed class SystemStoreTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-systems-").FullName;
    private readonly HttpListener _server = new();
    private readonly int _port = FreePort();
    private Task _serving = Task.CompletedTask;
    private int _asked;

    private string CatalogueFile => Path.Combine(_folder, "systems.yaml");

    public async ValueTask InitializeAsync()
    {
        var root = Path.Combine(_folder, "root");
        _ = Directory.CreateDirectory(Path.Combine(root, "bin"));
        await CopyRootAsync("layer", await TestBoot.Layer);
        _server.Prefixes.Add($"http://127.0.0.1:{_port}/");
        _server.Start();
        _serving = ServeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _server.Close();
        await _serving;
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("gz", "--gzip")]
    [InlineData("xz", "--xz")]
    [InlineData("tar", "--format=gnu")]
    public async Task Get_Archive_IsFetchedOnceAndBoots(string ending, string option)
    {
        await CommandRunner.RunCheckedAsync(new Command("tar", "--create", option, $"--file={Path.Combine(_folder, $"os.{ending}")}", "--directory", Path.Combine(_folder, "root"), "."), CancellationToken.None);
        Write($"os.{ending}", await SumAsync($"os.{ending}"));
        var store = new SystemStore(new ImageStore(Path.Combine(_folder, "cache")), CatalogueFile);
        Assert.False(store.List().Single(system => system.Name == "test-1.0").IsHere);

        var layers = await store.GetAsync("test-1.0", null, CancellationToken.None);
        Assert.Equal(layers, await store.GetAsync("test-1.0", null, CancellationToken.None));
        Assert.Equal(1, _asked);
        Assert.True(store.List().Single(system => system.Name == "test-1.0").IsHere);
        if (ending != "gz")
            return;

        await using var test = await TestHost.OpenAsync();
        var machine = await test.StartAsync(null, spec => spec with { Layers = layers, Network = NetworkMode.None });
        Assert.Equal("here", (await TestHost.RunAsync(machine, "cat /etc/made")).Output);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
    }

    [Fact]
    public async Task Get_WrongSum_IsRefusedAndNothingStays()
    {
        await CommandRunner.RunCheckedAsync(new Command("tar", "--create", "--gzip", $"--file={Path.Combine(_folder, "os.gz")}", "--directory", Path.Combine(_folder, "root"), "."), CancellationToken.None);
        Write("os.gz", new string('0', 64));
        var store = new SystemStore(new ImageStore(Path.Combine(_folder, "cache")), CatalogueFile);

        var refused = await Assert.ThrowsAsync<ImageException>(() => store.GetAsync("test-1.0", null, CancellationToken.None));

        Assert.Contains($"its SHA-256 is {await SumAsync("os.gz")} and should be {new string('0', 64)}. Nothing of it was used.", refused.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(_folder, "cache/systems")));
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(Path.Combine(_folder, "cache/systems/aside")), path => !path.EndsWith(".lock", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Get_EntryOutside_IsRefused()
    {
        await CommandRunner.RunCheckedAsync(
            new Command("tar", "--create", "--gzip", "--absolute-names", "--transform=s,.*,../../evil,", $"--file={Path.Combine(_folder, "evil.gz")}", "/etc/hostname"), CancellationToken.None);
        Write("evil.gz", await SumAsync("evil.gz"));
        var store = new SystemStore(new ImageStore(Path.Combine(_folder, "cache")), CatalogueFile);

        var refused = await Assert.ThrowsAsync<ImageException>(() => store.GetAsync("test-1.0", null, CancellationToken.None));
        Assert.Contains("which would lie outside of the image", refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_folder, "evil")));
    }

    [Fact]
    public async Task Get_Missing_SaysWhere()
    {
        Write("none.gz", new string('a', 64));
        var store = new SystemStore(new ImageStore(Path.Combine(_folder, "cache")), CatalogueFile);
        Assert.Contains("the server answers 404", (await Assert.ThrowsAsync<ImageException>(() => store.GetAsync("test-1.0", null, CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Contains("There is no operating system 'plan-9' in the catalogue. Known are alpine-3.20,", (await Assert.ThrowsAsync<ImageException>(() => store.GetAsync("plan-9", null, CancellationToken.None))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_OwnCatalogue_IsRightAndHonest()
    {
        var entries = SystemCatalogue.Read(null);
        Assert.Contains(entries, entry => entry is { Name: "debian-12", Apt.Suite: "bookworm" });
        Assert.Contains(entries, entry => entry is { Name: "debian-13", Apt.Suite: "trixie" });
        Assert.Contains(entries, entry => entry is { Name: "ubuntu-24.04", Apt.Suite: "noble" });
        Assert.Equal("the registry's word for the tag", entries.Single(entry => entry.Name == "alpine-3.20").Verification);
        Assert.DoesNotContain(entries, entry => entry.Archive is not null);
    }

    [Theory]
    [InlineData("- name: a\n  nonsense: 1", "nonsense")]
    [InlineData("- name: 'A B'\n  registry: { image: x }", "The name 'A B' is not letters")]
    [InlineData("- name: a", "'a' needs exactly one of apt, archive and registry.")]
    [InlineData("- name: a\n  archive: { url: 'http://x/y', sha256: 12 }", "An archive without a checksum cannot be verified and is not used.")]
    [InlineData("- name: a\n  archive: { url: 'file:///etc/passwd', sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa }", "which is not an http or https address")]
    [InlineData("- name: a\n  apt: { suite: '--help', mirror: 'http://x', keyring: /k }", "'a' has the suite '--help'")]
    [InlineData("- name: a\n  apt: { suite: x, mirror: 'http://x' }", "its packages cannot be verified without")]
    [InlineData("- name: a\n  registry: { image: 'A B' }", "'a' has the image 'A B', which is no reference.")]
    [InlineData("- { name: a, registry: { image: x } }\n- { name: a, registry: { image: x } }", "'a' is there twice.")]
    public void Parse_Wrong_SaysWhat(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<ImageException>(() => SystemCatalogue.Parse(text, "mine.yaml")).Message, StringComparison.Ordinal);

    [Fact]
    public void Command_OfAnAptSystem_IsThis() => Assert.Equal(
        "mmdebstrap --variant=minbase --include=apt,ca-certificates,iproute2,procps,less,nano --keyring=/k.gpg --aptopt=APT::Install-Recommends \"false\" --aptopt=Acquire::Languages \"none\" "
        + "--aptopt=Acquire::Retries \"3\" --dpkgopt=force-unsafe-io --format=directory noble /root deb http://m noble main universe deb http://m noble-updates main universe deb http://s noble-security main universe",
        $"mmdebstrap {string.Join(' ', AptRoot.Command(new AptSource { Suite = "noble", Mirror = "http://m", Security = "http://s", Components = "main universe", Keyring = "/k.gpg" }, "/root").Arguments)}");

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    /// <summary>A root of busybox, with a file by which it is known.</summary>
    private async Task CopyRootAsync(string name, string layer)
    {
        var place = Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;
        await CommandRunner.RunCheckedAsync(new Command("mount", "-t", "erofs", "-o", "ro,loop", layer, place), CancellationToken.None);
        try
        {
            await CommandRunner.RunCheckedAsync(new Command("cp", "--archive", "--", place + "/.", Path.Combine(_folder, "root")), CancellationToken.None);
        }
        finally
        {
            await CommandRunner.RunCheckedAsync(new Command("umount", place), CancellationToken.None);
        }

        _ = Directory.CreateDirectory(Path.Combine(_folder, "root/etc"));
        await File.WriteAllTextAsync(Path.Combine(_folder, "root/etc/made"), "here\n");
    }

    private void Write(string archive, string sum) => File.WriteAllText(CatalogueFile, $"""
        - name: test-1.0
          title: For tests
          archive: {"{"} url: "http://127.0.0.1:{_port}/{archive}", sha256: "{sum}" {"}"}
        """);

    private async Task<string> SumAsync(string file)
    {
        await using var stream = File.OpenRead(Path.Combine(_folder, file));
        return Convert.ToHexStringLower(await SHA256.HashDataAsync(stream));
    }

    private async Task ServeAsync()
    {
        while (_server.IsListening)
        {
            try
            {
                var context = await _server.GetContextAsync();
                _asked++;
                var path = Path.Combine(_folder, Path.GetFileName(context.Request.Url!.AbsolutePath));
                if (File.Exists(path))
                    await context.Response.OutputStream.WriteAsync(await File.ReadAllBytesAsync(path));
                else
                    context.Response.StatusCode = 404;
                context.Response.Close();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                // Closed.
            }
        }
    }
}
