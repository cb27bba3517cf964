using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Images.Oci;
using static NanoVms.Tests.Images.Oci.TestRegistry;

namespace NanoVms.Tests.Images.Oci;

/// <summary>Real skopeo, tar, mkfs.erofs and mounts; the registry is our own.</summary>
public sealed class OciStoreTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-oci-").FullName;
    private readonly TestRegistry _registry = new();
    private readonly ImageStore _store;

    public OciStoreTests() => _store = new ImageStore(Path.Combine(_folder, "store"));

    public void Dispose()
    {
        _registry.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Pull_Image_ItsConfigurationAndLayersAreHonoured()
    {
        var digest = _registry.Push(
            "1",
            [
                Layer(Folder("etc/"), File("etc/name", "below", owner: 7), File("etc/gone", "x"), Folder("opt/"), File("opt/old", "x"), File("bin", "x", mode: (UnixFileMode)0x9ed)),
                Layer(File("etc/.wh.gone", ""), Folder("opt/"), File("opt/.wh..wh..opq", ""), File("opt/new", "y"), Link("link", "etc/name")),
            ],
            new
            {
                Entrypoint = new[] { "/bin/app" },
                Cmd = new[] { "--serve" },
                Env = new[] { "A=1=2", "PATH=/only" },
                User = "app:web",
                WorkingDir = "/srv",
                ExposedPorts = new Dictionary<string, object> { ["8080/tcp"] = new { }, ["53/udp"] = new { }, ["80"] = new { } },
                StopSignal = "SIGQUIT",
            });
        var image = await PullAsync("app:1");

        Assert.Equal(digest, image.Digest);
        Assert.Equal(2, image.Layers.Count);
        Assert.Equal([80, 8080], image.Config.TcpPorts);
        Assert.Equal("SIGQUIT", image.Config.StopSignal);
        var process = image.ToProcess();
        Assert.Equal(["/bin/app", "--serve"], process.Command);
        Assert.Equal(["/bin/app", "other"], image.ToProcess(["other"]).Command);
        Assert.Equal("app:web", process.Account);
        Assert.Equal("/srv", process.WorkingDirectory);
        Assert.Equal(new Dictionary<string, string> { ["A"] = "1=2", ["PATH"] = "/only" }, process.Environment);

        await using var root = await MountedLayers.MountAsync(_folder, image.Layers);
        Assert.Equal(["bin", "etc", "link", "opt"], root.List("/"));
        Assert.Equal(["name"], root.List("etc"));
        Assert.Equal(["new"], root.List("opt"));
        Assert.Equal("below", await System.IO.File.ReadAllTextAsync(root["link"]));
        var stat = await CommandRunner.RunCheckedAsync(new Command("stat", "-c", "%u:%g %a", root["etc/name"], root["bin"]), CancellationToken.None);
        Assert.Equal("7:7 644\n0:0 4755\n", stat.StandardOutput);
    }

    [Fact]
    public async Task Pull_Again_FetchesOnlyWhatChanged()
    {
        var below = Layer(File("base", "x"));
        var digest = _registry.Push("latest", [below]);
        var first = await PullAsync("app");
        var fetched = _registry.BlobRequests;
        Assert.Equal(first.Layers, (await PullAsync("app")).Layers);
        // The configuration is read to compare, the layer is not fetched.
        Assert.InRange(_registry.BlobRequests, fetched, fetched + 1);

        _registry.Push("latest", [below, Layer(File("more", "y"))]);
        var second = await PullAsync("app");
        Assert.Equal(first.Layers[0], second.Layers[0]);
        Assert.Equal(2, second.Layers.Count);
        Assert.Equal(2, Directory.GetFiles(Path.Combine(_store.Folder, "oci", "layers")).Length);
        Assert.Equal([second.Reference], _store.ListPulled().Select(image => image.Reference));

        var pinned = await PullAsync($"app@{digest}");
        _registry.Dispose();
        Assert.Equal(pinned, await PullAsync($"app@{digest}"), (a, b) => a.Digest == b.Digest && a.Layers.SequenceEqual(b.Layers));
        Assert.True((await Assert.ThrowsAsync<ImageException>(() => PullAsync("app"))).IsTransient);
    }

    [Fact]
    public async Task Pull_ManyLayers_LowerOnesBecomeOne()
    {
        var layers = Enumerable.Range(0, 14).Select(i => i == 3 ? Layer(File(".wh.f1", "")) : Layer(File($"f{i}", $"{i}"), File("last", $"{i}"))).ToList();
        _registry.Push("latest", layers);
        var image = await PullAsync("app");
        Assert.Equal(10, image.Layers.Count);
        await using var root = await MountedLayers.MountAsync(_folder, image.Layers);
        Assert.False(System.IO.File.Exists(root["f1"]));
        Assert.Equal("13", await System.IO.File.ReadAllTextAsync(root["last"]));
        Assert.Equal("2", await System.IO.File.ReadAllTextAsync(root["f2"]));
        Assert.DoesNotContain(_folder + "/store", await System.IO.File.ReadAllTextAsync("/proc/self/mounts"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pull_PrivateImage_NeedsTheRightPassword()
    {
        _registry.Push("latest", [Layer(File("a", "x"))]);
        _registry.Credentials = "me:secret-word";
        var refused = await Assert.ThrowsAsync<ImageException>(() => PullAsync("app"));
        Assert.Contains("cannot be fetched", refused.Message, StringComparison.Ordinal);
        var wrong = await Assert.ThrowsAsync<ImageException>(() => PullAsync("app", new OciPullOptions { Credentials = new("me", "wrong-word") }));
        Assert.DoesNotContain("wrong-word", wrong.ToString(), StringComparison.Ordinal);
        Assert.Single((await PullAsync("app", new OciPullOptions { Credentials = new("me", "secret-word") })).Layers);
        Assert.DoesNotContain(
            Directory.GetFiles(_store.Folder, "*", SearchOption.AllDirectories),
            path => System.IO.File.ReadAllText(path).Contains("secret", StringComparison.Ordinal) || path.EndsWith("auth.json", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Pull_PrivateImage_IsForThoseAloneWhoHaveShownCredentials()
    {
        var digest = _registry.Push("latest", [Layer(File("a", "x"))]);
        _registry.Credentials = "me:secret-word";
        _ = await PullAsync("app", new OciPullOptions { Credentials = new("me", "secret-word"), Owner = "one" });

        // Neither a tag nor a digest asks for them again; somebody else has to show their own, also for what is here.
        Assert.Equal(digest, (await PullAsync("app", new OciPullOptions { Owner = "one" })).Digest);
        Assert.Equal(digest, (await PullAsync("app")).Digest);
        Assert.Contains("cannot be fetched", (await Assert.ThrowsAsync<ImageException>(() => PullAsync("app", new OciPullOptions { Owner = "two" }))).Message, StringComparison.Ordinal);
        _ = await PullAsync("app", new OciPullOptions { Credentials = new("me", "secret-word"), Owner = "two" });
        _ = await PullAsync("app", new OciPullOptions { Owner = "two" });
        Assert.Equal(["one", "two"], (await _store.ListAsync(CancellationToken.None)).Single().Owners);

        // What anybody may fetch is everybody's.
        _registry.Credentials = null;
        _ = await PullAsync("app", new OciPullOptions { Owner = "three" });
        Assert.Null((await _store.ListAsync(CancellationToken.None)).Single().Owners);
    }

    [Fact]
    public async Task Pull_RegistryInside_IsForTeamsOnceTheOperatorHasFetchedIt()
    {
        _registry.Push("latest", [Layer(File("a", "x"))]);
        var team = new OciPullOptions { AllowPrivateAddresses = false, Owner = "one" };
        Assert.Contains("which is not a public address", (await Assert.ThrowsAsync<ImageException>(() => PullAsync("app", team))).Message, StringComparison.Ordinal);
        _ = await PullAsync("app");
        var requests = _registry.Requests.Count;
        Assert.Single((await PullAsync("app", team)).Layers);
        Assert.Equal(requests, _registry.Requests.Count);
    }

    [Fact]
    public async Task Remove_SharedLayer_StaysWithTheOtherImage()
    {
        var shared = Layer(File("a", "x"));
        _registry.Push("one", [shared, Layer(File("b", "1"))]);
        _registry.Push("two", [shared, Layer(File("b", "2"))]);
        var one = await PullAsync("app:one");
        var two = await PullAsync("app:two");
        var removed = await _store.RemoveAsync(one.Reference, CancellationToken.None);

        Assert.Equal(["oci", "layer"], removed.Items.Select(item => item.Kind));
        Assert.Equal([true, false], one.Layers.Select(System.IO.File.Exists));
        Assert.All(two.Layers, layer => Assert.True(System.IO.File.Exists(layer)));
        Assert.Equal(2, (await PullAsync("app:one")).Layers.Count);
        Assert.Equal(2, (await _store.RemoveAsync(two.Digest, CancellationToken.None)).Items.Count);
    }

    [Fact]
    public async Task Pull_HostileLayer_IsRefusedAndNothingIsWrittenOutside()
    {
        var outside = Path.Combine(_folder, "outside");
        Directory.CreateDirectory(outside);
        await RefusedAsync("would lie outside", Layer(File("../../../../../../.." + outside + "/a", "x")));
        await RefusedAsync("whose folder is a link", Layer(Link("out", outside), File("out/.wh.b", "")));
        await RefusedAsync("whose folder is a link", Layer(Link("out", outside), File("out/.wh..wh..opq", "")));
        await RefusedAsync("Layer sha256:", [.. "not a tar archive at all, but long enough to be read as one: "u8, .. new byte[512]]);

        // tar makes links last, so that nothing is written through them.
        _registry.Push("latest", [Layer(Link("out", outside), File("out/c", "x"), File("/absolute", "y"))]);
        try
        {
            _ = await PullAsync("app");
        }
        catch (ImageException)
        {
            // Refusing is as good.
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(outside));
        Assert.False(System.IO.File.Exists("/absolute"));
        AssertNothingHalfMade();
    }

    [Fact]
    public async Task Pull_TooLargeOrAnother_IsRefused()
    {
        var bomb = Layer(File("zero", new string('\0', 64 << 20)));
        _registry.Push("latest", [bomb]);
        Assert.Contains("too large", (await Assert.ThrowsAsync<ImageException>(() => PullAsync("app", new OciPullOptions { MaxBytes = 8 << 20 }))).Message, StringComparison.Ordinal);

        _registry.Push("latest", [Layer(File("a", "x"))], diffIds: [$"sha256:{new string('0', 64)}"]);
        Assert.Contains("another digest", (await Assert.ThrowsAsync<ImageException>(() => PullAsync("app"))).Message, StringComparison.Ordinal);

        _registry.Push("latest", [Layer(File("a", "x"))], diffIds: []);
        Assert.Contains("its configuration names 0", (await Assert.ThrowsAsync<ImageException>(() => PullAsync("app"))).Message, StringComparison.Ordinal);
        AssertNothingHalfMade();
    }

    private async Task RefusedAsync(string reason, byte[] layer)
    {
        _registry.Push("latest", [layer]);
        Assert.Contains(reason, (await Assert.ThrowsAsync<ImageException>(() => PullAsync("app"))).Message, StringComparison.Ordinal);
    }

    private void AssertNothingHalfMade() =>
        Assert.All(Directory.EnumerateFileSystemEntries(Path.Combine(_store.Folder, "oci", "aside")), path => Assert.EndsWith(".lock", path, StringComparison.Ordinal));

    private Task<OciImage> PullAsync(string name, OciPullOptions? options = null) => _store.PullAsync($"{_registry.Host}/{name}", options, null, CancellationToken.None);
}
