using System.Diagnostics;
using System.IO.Compression;
using BytePort.Builds.Blobs;
using BytePort.Builds.Logs;
using BytePort.Builds.Sites;

namespace BytePort.Builds.Tests.Sites;

public sealed class StaticTreePackerTests(ITestOutputHelper output) : IDisposable
{
    private readonly TestFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task PackAsync_Site_HasTypesDigestsAndEncodings()
    {
        _folder.Write("site/index.html", string.Concat(Enumerable.Repeat("<p>hello hello</p>\n", 100)));
        _folder.Write("site/assets/index-BkX3f9_a.js", "x()");
        _folder.Write("site/.well-known/security.txt", "Contact: a@example.org");
        var blobs = Blobs();
        var packed = await Pack(blobs);

        var tree = await StaticTree.LoadAsync(blobs, packed.Digest, Token);
        Assert.Equal([".well-known/security.txt", "assets/index-BkX3f9_a.js", "index.html"], tree.Files.Select(file => file.Path));
        Assert.Equal([false, true, false], tree.Files.Select(file => file.Immutable));
        var html = tree.Files[2];
        Assert.Equal(("text/html; charset=utf-8", 1900L), (html.ContentType, html.Size));
        Assert.Equal(["br", "gzip"], html.Encodings.Keys);
        Assert.Empty(tree.Files[1].Encodings);

        await using var gzip = new GZipStream(blobs.Open(html.Encodings["gzip"].Digest), CompressionMode.Decompress);
        await using var brotli = new BrotliStream(blobs.Open(html.Encodings["br"].Digest), CompressionMode.Decompress);
        var plain = await File.ReadAllTextAsync(blobs.GetPath(html.Digest), Token);
        Assert.Equal(plain, await new StreamReader(gzip).ReadToEndAsync(Token));
        Assert.Equal(plain, await new StreamReader(brotli).ReadToEndAsync(Token));
        Assert.True(tree.References().All(blobs.Exists));
    }

    [Fact]
    public async Task PackAsync_ContentThatDoesNotShrink_HasNoEncodings()
    {
        Directory.CreateDirectory(_folder["site"]);
        await File.WriteAllBytesAsync(_folder["site/noise.txt"], System.Security.Cryptography.RandomNumberGenerator.GetBytes(4000), Token);
        var blobs = Blobs();
        Assert.Empty((await Pack(blobs)).Tree.Files[0].Encodings);
        Assert.Equal("", blobs.ReadNote((await Pack(blobs)).Tree.Files[0].Digest));
    }

    [Fact]
    public async Task PackAsync_HiddenFiles_AreLeftOutAndNamed()
    {
        _folder.Write("site/index.html", "x");
        _folder.Write("site/.env", "SECRET=1");
        _folder.Write("site/.git/config", "x");
        _folder.Write("site/node_modules/a/index.js", "x");
        _folder.Write("site/byteport.yaml", "x");
        var lines = new List<string>();
        var packed = await Pack(Blobs(), new BuildLog(line => lines.Add(line.Text)));
        Assert.Equal("index.html", Assert.Single(packed.Tree.Files).Path);
        Assert.Contains(".env, .git, byteport.yaml, node_modules", Assert.Single(lines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task PackAsync_LinkInside_IsFollowedLinkOut_IsRefused()
    {
        _folder.Write("site/real.txt", "x");
        File.CreateSymbolicLink(_folder["site/alias.txt"], "real.txt");
        Assert.Equal(["alias.txt", "real.txt"], (await Pack(Blobs())).Tree.Files.Select(file => file.Path));

        _folder.Write("secret.txt", "x");
        File.CreateSymbolicLink(_folder["site/out"], "..");
        File.CreateSymbolicLink(_folder["site/zz.txt"], "out/secret.txt");
        var error = await Assert.ThrowsAsync<SiteException>(() => Pack(Blobs()));
        Assert.Contains("outside", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PackAsync_EmptyFolder_SaysSo()
    {
        Directory.CreateDirectory(_folder["site"]);
        Assert.True((await Assert.ThrowsAsync<SiteException>(() => Pack(Blobs()))).IsMissing);
    }

    [Fact]
    public async Task PackAsync_ThousandFiles_IsQuickAndQuickerUnchanged()
    {
        var random = new Random(1);
        for (var i = 0; i < 1000; i++)
            _folder.Write($"site/d{i % 20}/page{i}.html", string.Join(' ', Enumerable.Range(0, 500).Select(_ => "word" + random.Next(900))));
        var blobs = Blobs();
        var clock = Stopwatch.StartNew();
        var first = await Pack(blobs);
        var firstTime = clock.Elapsed;
        clock.Restart();
        var again = await Pack(blobs);
        var againTime = clock.Elapsed;
        output.WriteLine($"1,000 files of 4 KiB: first {firstTime.TotalMilliseconds:0} ms, unchanged {againTime.TotalMilliseconds:0} ms");

        Assert.Equal((first.Digest, 3000, 0), (again.Digest, first.NewBlobs, again.NewBlobs));
        Assert.True(firstTime < TimeSpan.FromSeconds(10), $"first took {firstTime}");
        Assert.True(againTime < TimeSpan.FromSeconds(1), $"unchanged took {againTime}");
    }

    private BlobStore Blobs() => new(_folder["blobs"]);

    private Task<PackedTree> Pack(BlobStore blobs, BuildLog? log = null) =>
        new StaticTreePacker(blobs).PackAsync(_folder["site"], spa: false, long.MaxValue, log ?? BuildLog.None, Token);
}
