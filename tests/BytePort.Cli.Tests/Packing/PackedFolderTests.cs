using System.Diagnostics;
using BytePort.Cli.Packing;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Tests.Packing;

public sealed class PackedFolderTests : IDisposable
{
    private readonly Fakes.Cli _cli = new();

    public PackedFolderTests() => Directory.CreateDirectory(Root);

    private string Root => Path.Combine(_cli.Folder, "app");

    [Fact]
    public async Task ListAsync_GitWorkTree_TakesWhatGitWouldKeep()
    {
        Write(".gitignore", "*.log\nsecret/\n");
        Write("index.html", "<p>");
        Write("debug.log");
        Write("secret/key");
        Write("big.bin", "12345");
        Write("docs/note.md");
        Write(".byteportignore", "big.bin\ndocs/\n");
        Run("git", "init", "--quiet");
        Write("forced.log");
        Run("git", "add", "--force", "forced.log");
        Write("deleted.txt");
        Run("git", "add", "deleted.txt");
        File.Delete(Path.Combine(Root, "deleted.txt"));

        Assert.Equal([".byteportignore", ".gitignore", "forced.log", "index.html"], await ListAsync());
    }

    [Fact]
    public async Task ListAsync_NoGit_HonoursNestedIgnoreFiles()
    {
        Write(".gitignore", "dist/\n");
        Write("index.html");
        Write("dist/out.js");
        Write("web/.gitignore", "*.tmp\n!keep.tmp\n");
        Write("web/a.tmp");
        Write("web/keep.tmp");
        Write("other/a.tmp");
        Write("node_modules/left/index.js");

        Assert.Equal([".gitignore", "index.html", "other/a.tmp", "web/.gitignore", "web/keep.tmp"], await ListAsync());
    }

    [Fact]
    public async Task ListAsync_RepositoryInside_IsTakenWithoutItsGitFolder()
    {
        Run("git", "init", "--quiet");
        Write("index.html");
        Write("inner/.gitignore", "out\n");
        Write("inner/out");
        Write("inner/page.html");
        Run("git", "init", "--quiet", "inner");

        Assert.Equal(["index.html", "inner/.gitignore", "inner/page.html"], await ListAsync());
    }

    [Fact]
    public async Task ListAsync_FolderThatGitIgnores_IsTakenAsItIs()
    {
        Write(".gitignore", "dist/\n");
        Write("dist/index.html");
        Run("git", "init", "--quiet");

        Assert.Equal(["index.html"], await ListAsync("dist"));
    }

    [Fact]
    public async Task ListAsync_LinksAndPipes_KeepsLinksAndSkipsPipes()
    {
        Write("target/file");
        File.CreateSymbolicLink(Path.Combine(Root, "link"), "target");
        File.CreateSymbolicLink(Path.Combine(Root, "broken"), "nowhere");
        Run("mkfifo", "pipe");

        Assert.Equal(["broken -> nowhere", "link -> target", "target/file"], await ListAsync());
    }

    [Fact]
    public async Task ListAsync_Empty_SaysSo()
    {
        var exception = await Assert.ThrowsAsync<CliException>(() => ListAsync());
        Assert.Contains("has no files to deploy", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FromFolder_Twice_GivesTheSameBytes()
    {
        Write("run.sh", "#!/bin/sh");
        File.SetUnixFileMode(Path.Combine(Root, "run.sh"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var folder = await PackedFolder.ListAsync(Root, TestContext.Current.CancellationToken);
        var first = await UploadContent.FromFolder(folder, _ => { }).ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        File.SetLastWriteTimeUtc(Path.Combine(Root, "run.sh"), DateTime.UnixEpoch.AddDays(1));

        Assert.Equal(first, await UploadContent.FromFolder(folder, _ => { }).ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
    }

    public void Dispose() => _cli.Dispose();

    private async Task<IEnumerable<string>> ListAsync(string below = ".")
    {
        var folder = await PackedFolder.ListAsync(Path.Combine(Root, below), TestContext.Current.CancellationToken);
        return folder.Files.Select(file => file.LinkTarget is null ? file.Path : $"{file.Path} -> {file.LinkTarget}");
    }

    private void Write(string path, string text = "") => _cli.Write($"app/{path}", text);

    private void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = Root })!;
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }
}
