using System.Collections.Concurrent;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Images.Stacks;

namespace NanoVms.Tests.Images.Stacks;

public sealed class StackStoreTests(ITestOutputHelper output)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void Command_Debian_IsTheExactCommand()
    {
        var command = DebianRoot.Command(new DebianRecipe { Suite = "bookworm", Packages = ["a", "b"] }, "/x/root");
        Assert.Equal("mmdebstrap", command.Program);
        Assert.Equal("--variant=essential", command.Arguments[0]);
        Assert.Contains("--include=a,b", command.Arguments);
        Assert.Equal("/x/root", command.Arguments[^4]);
        Assert.Equal("deb http://deb.debian.org/debian-security bookworm-security main", command.Arguments[^1]);
    }

    [Theory]
    [InlineData("cobol@1", "There is no stack 'cobol'. Known are base, node, python.")]
    [InlineData("python@2", "There is no python 2: this platform has python 3.11")]
    [InlineData("python@newest", "'newest' is no version of python")]
    [InlineData("node@;rm", "';rm' is no version of node")]
    [InlineData("node@999", "There is no node 999 in the npm registry")]
    public async Task GetStackAsync_Unknown_SaysWhatThereIs(string reference, string message)
    {
        var error = await Assert.ThrowsAsync<ImageException>(() => new ImageStore().GetStackAsync(reference, null, Token));
        Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GetStackAsync_NodeAndPython_RunInTheirRoots()
    {
        var lines = new ConcurrentQueue<string>();
        var store = new ImageStore();
        var node = await store.GetStackAsync("node@22", new Lines(lines), Token);
        var python = await store.GetStackAsync("python@3", new Lines(lines), Token);
        foreach (var line in lines)
            output.WriteLine(line);
        foreach (var layer in node.Layers.Concat(python.Layers))
            output.WriteLine($"{Path.GetFileName(layer)} {new FileInfo(layer).Length / 1048576.0:0.0} MiB");

        Assert.Equal(2, node.Layers.Count);
        Assert.StartsWith("22.", node.Version, StringComparison.Ordinal);
        Assert.Equal(node.Layers, (await store.GetStackAsync(node.Reference, null, Token)).Layers);

        using var nodeRoot = await MountedRoot.MountAsync(node.Layers, Token);
        Assert.Equal($"v{node.Version}", await nodeRoot.RunAsync(Token, "node", "--version"));
        Assert.NotEmpty(await nodeRoot.RunAsync(Token, "npm", "--version"));
        Assert.Equal("app", await nodeRoot.RunAsync(Token, "id", "-un", "1000"));
        using var pythonRoot = await MountedRoot.MountAsync(python.Layers, Token);
        Assert.Equal("Python 3.11", (await pythonRoot.RunAsync(Token, "python3", "--version"))[..11]);
        Assert.Equal("ok", await pythonRoot.RunAsync(Token, "python3", "-c", "import ssl, sqlite3, json, venv; print('ok')"));
    }

    /// <summary>Reports in the caller's order, unlike Progress.</summary>
    private sealed class Lines(ConcurrentQueue<string> lines) : IProgress<string>
    {
        public void Report(string value) => lines.Enqueue(value);
    }

    /// <summary>Layers overlaid on the host, for a look inside without a machine.</summary>
    private sealed class MountedRoot : IDisposable
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-root-").FullName;
        private readonly List<string> _mounts = [];

        public static async Task<MountedRoot> MountAsync(IReadOnlyList<string> layers, CancellationToken cancellationToken)
        {
            var root = new MountedRoot();
            foreach (var layer in layers)
                await root.MountAsync(cancellationToken, "-t", "erofs", "-o", "loop,ro", layer);
            if (layers.Count > 1)
                await root.MountAsync(cancellationToken, "-t", "overlay", "-o", $"ro,lowerdir={string.Join(':', root._mounts.AsEnumerable().Reverse())}", "overlay");
            return root;
        }

        public async Task<string> RunAsync(CancellationToken cancellationToken, params string[] command)
        {
            var result = await CommandRunner.RunCheckedAsync(new Command("chroot", [_mounts[^1], .. command]), cancellationToken);
            return result.StandardOutput.Trim();
        }

        public void Dispose()
        {
            foreach (var mount in _mounts.AsEnumerable().Reverse())
                CommandRunner.RunAsync(new Command("umount", mount), CancellationToken.None).GetAwaiter().GetResult();
            Directory.Delete(_folder, recursive: true);
        }

        private async Task MountAsync(CancellationToken cancellationToken, params string[] arguments)
        {
            var target = Directory.CreateDirectory(Path.Combine(_folder, _mounts.Count.ToString(null, null))).FullName;
            await CommandRunner.RunCheckedAsync(new Command("mount", [.. arguments, target]), cancellationToken);
            _mounts.Add(target);
        }
    }
}
