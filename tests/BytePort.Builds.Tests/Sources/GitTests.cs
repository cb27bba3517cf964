using BytePort.Builds.Logs;
using BytePort.Builds.Sources;
using static BytePort.Builds.Tests.Sources.GitServer;

namespace BytePort.Builds.Tests.Sources;

public sealed class GitTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private readonly List<string> _lines = [];
    private GitServer _server = null!;
    private string _repository = "";
    private string _first = "";
    private string _second = "";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Destination => _folder["out"];

    public async ValueTask InitializeAsync()
    {
        _repository = Directory.CreateDirectory(_folder["repos/app"]).FullName;
        await GitAsync(_repository, "init", "--quiet");
        _folder.Write("repos/app/index.html", "one");
        _first = await CommitAsync("First");
        await GitAsync(_repository, "tag", "-a", "v1", "-m", "one");
        await GitAsync(_repository, "checkout", "--quiet", "-b", "feature/x");
        _folder.Write("repos/app/feature.txt", "x");
        await CommitAsync("On a branch");
        await GitAsync(_repository, "checkout", "--quiet", "main");
        _folder.Write("repos/app/index.html", "two");
        _second = await CommitAsync("Second: title\n\nand a body");
        _server = await StartAsync(_folder["repos"]);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task FetchAsync_DefaultBranch_GivesCommitMessageAndNoRepository()
    {
        var source = await FetchAsync(null);
        Assert.Equal((_second, "main", 1), (source.Commit, source.Branch, source.Files));
        Assert.Equal("Second: title\n\nand a body", source.CommitMessage);
        Assert.Equal("two", await File.ReadAllTextAsync(Path.Combine(Destination, "index.html"), Token));
        Assert.False(Directory.Exists(Path.Combine(Destination, ".git")));
        Assert.Contains(_lines, line => line.Contains($"Commit {_second[..10]} on main: Second: title", StringComparison.Ordinal));
        Assert.Equal(source.Digest, (await RefetchAsync(_second)).Digest);
    }

    [Theory]
    [InlineData("feature/x", "feature/x", "feature.txt")]
    [InlineData("v1", null, "index.html")]
    public async Task FetchAsync_BranchOrTag_GivesIt(string name, string? branch, string file)
    {
        var source = await FetchAsync(name);
        Assert.Equal(branch, source.Branch);
        Assert.True(File.Exists(Path.Combine(Destination, file)));
    }

    [Fact]
    public async Task FetchAsync_Commit_WholeOrShort_GivesIt()
    {
        Assert.Equal(_first, (await FetchAsync(_first)).Commit);
        Assert.Equal(_first, (await RefetchAsync(_first[..8])).Commit);
        await RefuseAsync("0123456789abcdef0123456789abcdef01234567", SourceErrors.BadRef);
        await RefuseAsync("no-such-branch", SourceErrors.BadRef);
    }

    [Theory]
    [InlineData("--upload-pack=touch /tmp/x")]
    [InlineData("a..b")]
    [InlineData("a b")]
    [InlineData("@{-1}")]
    [InlineData("refs/heads/.x")]
    [InlineData("x.lock")]
    [InlineData(":/text")]
    [InlineData("main~1")]
    public async Task FetchAsync_MalformedRef_IsRefused(string name) => await RefuseAsync(name, SourceErrors.BadRef);

    [Theory]
    [InlineData("ext::sh -c touch% /tmp/x")]
    [InlineData("file:///etc")]
    [InlineData("/etc/passwd")]
    [InlineData("../repos/app")]
    [InlineData("git://example.org/x")]
    [InlineData("ftp://example.org/x")]
    [InlineData("-oProxyCommand=x")]
    [InlineData("ssh://-oProxyCommand=x/path")]
    [InlineData("ssh://-l@example.org/x")]
    [InlineData("https://example.org/-x")]
    [InlineData("https://example.org")]
    [InlineData("https:///x")]
    [InlineData("https://example.org/a b")]
    public void Parse_ForbiddenUrl_IsRefused(string url) =>
        Assert.Equal(SourceErrors.BadUrl, Assert.Throws<SourceException>(() => GitSource.Parse(url)).Code);

    [Fact]
    public void Parse_ScpForm_IsSsh() =>
        Assert.Equal("ssh://git@github.com/owner/app.git", GitSource.Parse("git@github.com:owner/app.git").Url.ToString());

    [Fact]
    public async Task FetchAsync_Credentials_AreUsedAndNeverShown()
    {
        _server.Credentials = ("me", "s3cret/x");
        var refused = await Assert.ThrowsAsync<SourceException>(() => FetchAsync(null));
        Assert.Equal(SourceErrors.NotFound, refused.Code);

        var url = new UriBuilder(_server.Url("app")) { UserName = "me", Password = Uri.EscapeDataString("s3cret/x") }.Uri;
        var source = new GitSource(url);
        await new SourceFetcher().FetchAsync(source, Destination, Log(), Token);
        Assert.DoesNotContain(_lines, line => line.Contains("s3cret", StringComparison.Ordinal));
        Assert.DoesNotContain("s3cret", source.ToString(), StringComparison.Ordinal);

        Directory.Delete(Destination, recursive: true);
        var wrong = new UriBuilder(url) { Password = "wrong" }.Uri;
        var error = await Assert.ThrowsAsync<SourceException>(() => new SourceFetcher().FetchAsync(new GitSource(wrong), Destination, Log(), Token));
        Assert.Equal(SourceErrors.NotFound, error.Code);
        Assert.DoesNotContain("wrong", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FetchAsync_MissingOrUnreachable_SaysWhich()
    {
        Assert.Equal(SourceErrors.NotFound, (await Assert.ThrowsAsync<SourceException>(() => FetchUrlAsync(_server.Url("none")))).Code);
        var unreachable = await Assert.ThrowsAsync<SourceException>(() => FetchUrlAsync(new Uri("http://127.0.0.1:9/app")));
        Assert.Equal(SourceErrors.Unreachable, unreachable.Code);
        Assert.True(unreachable.IsTransient);
        AssertNothingLeft();
    }

    [Fact]
    public async Task FetchAsync_EmptyRepository_SaysSo()
    {
        Directory.CreateDirectory(_folder["repos/empty"]);
        await GitAsync(_folder["repos/empty"], "init", "--quiet");
        Assert.Equal(SourceErrors.Empty, (await Assert.ThrowsAsync<SourceException>(() => FetchUrlAsync(_server.Url("empty")))).Code);
    }

    [Fact]
    public async Task FetchAsync_LinkOut_IsRefusedByName()
    {
        File.CreateSymbolicLink(_folder["repos/app/evil"], "/etc/passwd");
        await CommitAsync("evil");
        var error = await RefuseAsync(null, SourceErrors.BadEntry);
        Assert.Contains("'evil'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FetchAsync_Limits_HoldBeforeAnythingIsWritten()
    {
        for (var i = 0; i < 30; i++)
            _folder.Write($"repos/app/f{i}", new string('x', 1000));
        await CommitAsync("many");
        await RefuseAsync(null, SourceErrors.TooManyFiles, new SourceLimits { MaxFiles = 20 });
        await RefuseAsync(null, SourceErrors.TooLarge, new SourceLimits { MaxBytes = 20_000 });

        // One tree, named by the next ten times over: 10^6 files in a repository of a few kilobytes.
        var tree = await GitAsync(_repository, "rev-parse", "HEAD^{tree}");
        for (var level = 0; level < 5; level++)
        {
            _folder.Write("list", string.Concat(Enumerable.Range(0, 10).Select(i => $"040000 tree {tree}\td{i}\n")));
            tree = (await NanoVms.Commands.CommandRunner.RunCheckedAsync(
                new NanoVms.Commands.Command("git", "-C", _repository, "mktree") { StandardInput = await File.ReadAllTextAsync(_folder["list"], Token) }, Token)).StandardOutput.Trim();
        }

        var bomb = await GitAsync(_repository, "commit-tree", tree, "-m", "bomb");
        await GitAsync(_repository, "update-ref", "refs/heads/bomb", bomb);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        await RefuseAsync("bomb", SourceErrors.TooManyFiles);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), $"took {clock.Elapsed}");
    }

    [Fact]
    public async Task FetchAsync_LargeHistoryOnTheWire_IsStopped()
    {
        var noise = new byte[3 << 20];
        Random.Shared.NextBytes(noise);
        await File.WriteAllBytesAsync(_folder["repos/app/noise"], noise, Token);
        await CommitAsync("noise");
        await RefuseAsync(null, SourceErrors.TooLarge, new SourceLimits { MaxBytes = 1 << 20 });
    }

    [Fact]
    public async Task FetchAsync_HooksFiltersAndSubmodules_DoNothing()
    {
        _folder.Write("repos/app/.gitattributes", "*.txt filter=evil\n*.html export-ignore\n");
        _folder.Write("repos/app/a.txt", "plain");
        var sub = await GitAsync(_repository, "rev-parse", "HEAD");
        _folder.Write("repos/app/.gitmodules", "[submodule \"s\"]\n\tpath = s\n\turl = file:///etc\n");
        await GitAsync(_repository, "update-index", "--add", "--cacheinfo", $"160000,{sub},s");
        Directory.CreateDirectory(_folder["repos/app/s"]);
        await CommitAsync("attributes");
        await FetchAsync(null);
        Assert.Equal("plain", await File.ReadAllTextAsync(Path.Combine(Destination, "a.txt"), Token));
        Assert.True(File.Exists(Path.Combine(Destination, "index.html")));
        Assert.Contains(_lines, line => line.Contains("submodule 's' is not fetched", StringComparison.Ordinal));
    }

    [Fact]
    public async Task FetchAsync_Cancel_LeavesNothing()
    {
        using var canceled = new CancellationTokenSource();
        var log = new BuildLog(line =>
        {
            if (line.Text.StartsWith("Commit", StringComparison.Ordinal))
                canceled.Cancel();
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new SourceFetcher().FetchAsync(new GitSource(_server.Url("app")), Destination, log, canceled.Token));
        AssertNothingLeft();
    }

    private async Task<string> CommitAsync(string message)
    {
        await GitAsync(_repository, "add", "--all");
        await GitAsync(_repository, "commit", "--quiet", "--allow-empty", "-m", message);
        return await GitAsync(_repository, "rev-parse", "HEAD");
    }

    private BuildLog Log() => new(line => _lines.Add(line.Text));

    private Task<FetchedSource> FetchAsync(string? name, SourceLimits? limits = null) =>
        new SourceFetcher(limits).FetchAsync(new GitSource(_server.Url("app"), name), Destination, Log(), Token);

    private Task<FetchedSource> RefetchAsync(string? name)
    {
        Directory.Delete(Destination, recursive: true);
        return FetchAsync(name);
    }

    private Task<FetchedSource> FetchUrlAsync(Uri url) => new SourceFetcher().FetchAsync(new GitSource(url), Destination, Log(), Token);

    private async Task<SourceException> RefuseAsync(string? name, string code, SourceLimits? limits = null)
    {
        if (Directory.Exists(Destination))
            Directory.Delete(Destination, recursive: true);
        var error = await Assert.ThrowsAsync<SourceException>(() => FetchAsync(name, limits));
        Assert.Equal(code, error.Code);
        AssertNothingLeft();
        return error;
    }

    private void AssertNothingLeft() =>
        Assert.Equal(["repos"], Directory.EnumerateDirectories(_folder.Path).Select(Path.GetFileName));
}
