using System.Collections.Concurrent;
using System.Text.Json;
using BytePort.Builds.Blobs;
using BytePort.Builds.Detection;
using BytePort.Builds.Logs;
using BytePort.Builds.Services;
using BytePort.Builds.Sites;
using BytePort.Builds.Sources;
using BytePort.Manifest;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Machines;

namespace BytePort.Builds.Tests.Services;

/// <summary>Builds in real machines. They run one after another: two processors boot no two guests well.</summary>
public sealed class ServiceBuilderTests : IDisposable
{
    private readonly BuildMachines _machines;
    private readonly ITestOutputHelper _output;
    private readonly string _folder;
    private readonly BlobStore _blobs;
    private readonly ConcurrentQueue<string> _lines = new();

    public ServiceBuilderTests(BuildMachines machines, ITestOutputHelper output)
    {
        (_machines, _output, _folder) = (machines, output, machines.NewFolder());
        _blobs = new BlobStore(Path.Combine(_folder, "blobs"));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        foreach (var line in _lines)
            _output.WriteLine(line);
    }

    [Fact]
    public async Task BuildAsync_NodeServerWithDependency_RunsFromItsLayer()
    {
        Write("package.json", """
            {"name": "shop", "private": true, "scripts": {"build": "node build.js", "start": "node server.js"},
             "dependencies": {"ms": "2.1.3"}, "devDependencies": {"is-odd": "3.0.1"}}
            """);
        Write("build.js", """
            require('is-odd'); require('fs').writeFileSync('built.txt', process.env.GREETING + ' ' + require('os').release());
            """);
        Write("server.js", """
            let odd = 'absent'; try { require('is-odd'); odd = 'there'; } catch {}
            console.log([require('ms')('1h'), require('fs').readFileSync('built.txt', 'utf8'), odd, process.getuid(), process.env.NODE_ENV].join('|'));
            """);
        var plan = Assert.Single(Detector.Detect(Source).Services);
        var artifact = Assert.IsType<AppArtifact>(await BuildAsync(plan, new Dictionary<string, string> { ["GREETING"] = "it's \"$HOME\"" }));

        var exit = await RunAsync(artifact, out var said);
        Assert.Equal(0, exit.ExitCode);
        var parts = said().Trim().Split('|');
        Assert.Equal("3600000", parts[0]);
        Assert.StartsWith("it's \"$HOME\" 6.", parts[1], StringComparison.Ordinal);
        Assert.DoesNotContain(await File.ReadAllTextAsync("/proc/sys/kernel/osrelease", Token), parts[1], StringComparison.Ordinal);
        Assert.Equal(["absent", "1000", "production"], parts[2..]);
    }

    [Fact]
    public async Task BuildAsync_PythonBuildCommand_RunsInItsEnvironment()
    {
        Write("app.py", "import sys; print(open('made.txt').read(), sys.prefix)");
        var plan = Plan(ServiceKind.Web) with { Stack = "python@3", BuildCommand = "python3 -c \"import sys; open('made.txt', 'w').write(sys.prefix)\"", StartCommand = "python3 app.py" };
        var artifact = Assert.IsType<AppArtifact>(await BuildAsync(plan));
        Assert.Equal(0, (await RunAsync(artifact, out var said)).ExitCode);
        Assert.Equal("/app/.venv /app/.venv", said().Trim());
    }

    [Fact]
    public async Task BuildAsync_StaticBuild_GivesTheOutputAlone()
    {
        Write("package.json", """{"scripts": {"build": "mkdir -p dist/assets && cp page.html dist/index.html && echo 1 > dist/assets/x.js && ln -s index.html dist/home.html"}}""");
        Write("page.html", "<h1>Hi</h1>");
        var plan = Assert.Single(Detector.Detect(Source).Services);
        var artifact = Assert.IsType<StaticArtifact>(await BuildAsync(plan));
        var tree = await StaticTree.LoadAsync(_blobs, artifact.TreeDigest, Token);
        Assert.Equal(["assets/x.js", "home.html", "index.html"], tree.Files.Select(file => file.Path));
    }

    [Fact]
    public async Task BuildAsync_Failures_EachHaveTheirCodeAndWords()
    {
        Write("index.txt", "x");
        var failed = await FailAsync("echo first; echo broken here >&2; exit 3");
        Assert.Equal((BuildErrors.BuildFailed, 3), (failed.Code, failed.ExitCode));
        Assert.Contains("exit code 3", failed.Message, StringComparison.Ordinal);
        Assert.Contains("broken here", failed.Message, StringComparison.Ordinal);

        var missing = await FailAsync("mkdir built");
        Assert.Equal(BuildErrors.OutputMissing, missing.Code);
        Assert.Contains("built", missing.Message, StringComparison.Ordinal);

        var escaping = await FailAsync("mkdir dist && ln -s /etc/passwd dist/x.txt");
        Assert.Equal(BuildErrors.OutputRefused, escaping.Code);
        Assert.Contains("x.txt", escaping.Message, StringComparison.Ordinal);

        Assert.Equal(BuildErrors.OutOfMemory, (await FailAsync("node -e \"const a=[]; for(;;) a.push(Buffer.alloc(16<<20,1))\"", new BuildLimits { MemoryMiB = 256 })).Code);
        Assert.Equal(BuildErrors.DiskFull, (await FailAsync("dd if=/dev/zero of=big bs=1M count=200", new BuildLimits { DiskBytes = 64L << 20 })).Code);
        Assert.Equal(BuildErrors.TimedOut, (await FailAsync("sleep 600", new BuildLimits { MaxTime = TimeSpan.FromSeconds(12) })).Code);
        Assert.Equal(BuildErrors.OutputTooLarge, (await FailAsync("mkdir dist && dd if=/dev/zero of=dist/big bs=1M count=40", new BuildLimits { MaxOutputBytes = 32L << 20 })).Code);
        Assert.Empty((await _machines.GetAsync()).Machines);
    }

    [Fact]
    public async Task BuildAsync_Cancel_RemovesTheMachine()
    {
        Write("index.txt", "x");
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var log = new BuildLog(line =>
        {
            _lines.Enqueue(line.Text);
            if (line.Text == "working")
                cancel.Cancel();
        });
        var plan = Plan(ServiceKind.Static) with { Stack = "node@22", BuildCommand = "while :; do echo working; sleep 1; done", Output = "dist" };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
            await (await BuilderAsync()).BuildAsync(plan, await SourceAsync(), new BuildLimits(), new Dictionary<string, string>(), log, cancel.Token));
        Assert.Empty((await _machines.GetAsync()).Machines);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_folder, "work")));
    }

    private string Source => Directory.CreateDirectory(Path.Combine(_folder, "source")).FullName;

    private static ServicePlan Plan(ServiceKind kind) => new() { Name = "test", Kind = kind };

    private void Write(string name, string content) => File.WriteAllText(Path.Combine(Source, name), content);

    private async Task<FetchedSource> SourceAsync() => new(Source, (await SourceTree.ScanAsync(Source, new SourceLimits(), Token)).Digest);

    private async Task<ServiceBuilder> BuilderAsync() => new(
        await _machines.GetAsync(), _machines.Images, _blobs, Path.Combine(_folder, "work"), TimeProvider.System, NullLogger<ServiceBuilder>.Instance);

    private async Task<Artifact> BuildAsync(ServicePlan plan, Dictionary<string, string>? variables = null, BuildLimits? limits = null)
    {
        var artifact = await (await BuilderAsync()).BuildAsync(
            plan, await SourceAsync(), limits ?? new BuildLimits(), variables ?? [], new BuildLog(line => _lines.Enqueue(line.Text)), Token);
        // What the database keeps is what comes back.
        return JsonSerializer.Deserialize<Artifact>(JsonSerializer.Serialize(artifact))!;
    }

    private async Task<BuildException> FailAsync(string command, BuildLimits? limits = null)
    {
        var plan = Plan(ServiceKind.Static) with { Stack = "node@22", BuildCommand = command, Output = "dist" };
        return await Assert.ThrowsAsync<BuildException>(() => BuildAsync(plan, null, limits));
    }

    private Task<ProcessExit> RunAsync(AppArtifact artifact, out Func<string> said)
    {
        var text = new System.Text.StringBuilder();
        said = () => text.ToString();
        return RunCoreAsync();

        async Task<ProcessExit> RunCoreAsync()
        {
            var stack = await _machines.Images.GetStackAsync(artifact.Stack, null, Token);
            var machine = await (await _machines.GetAsync()).StartAsync(
                new MachineSpec { Name = "run", MemoryMiB = 256, Layers = [.. stack.Layers, _blobs.GetPath(artifact.LayerDigest)], Network = NetworkMode.None },
                null,
                Token);
            try
            {
                return await machine.RunAsync(
                    AppProcess.Create(stack, artifact.StartCommand, new Dictionary<string, string>()),
                    chunk => text.Append(System.Text.Encoding.UTF8.GetString(chunk.Data.Span)),
                    Token);
            }
            finally
            {
                await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
            }
        }
    }
}
