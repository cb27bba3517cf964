using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using BytePort.Builds.Logs;
using BytePort.Builds.Sources;

namespace BytePort.Builds.Tests.Sources;

public sealed class ArchiveTests : IDisposable
{
    private const int LinkMode = unchecked((int)0xA1FF0000);

    private readonly TestFolder _folder = new();
    private readonly List<string> _lines = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Destination => _folder["out"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task FetchAsync_ZipAndTar_GiveTheSameTree()
    {
        var zip = await FetchAsync(Zip(z =>
        {
            Add(z, "index.html", "hello");
            Add(z, "bin/run.sh", "#!", mode: 0x81ED);
            Add(z, "link", "bin/run.sh", LinkMode);
        }));
        var first = zip.Digest;
        Assert.Equal("hello", await System.IO.File.ReadAllTextAsync(Path.Combine(Destination, "index.html"), Token));
        Assert.Equal("bin/run.sh", new FileInfo(Path.Combine(Destination, "link")).LinkTarget);
        Assert.Equal("-rwxr-xr-x", Mode("bin/run.sh"));
        Assert.Equal("-rw-r--r--", Mode("index.html"));
        Directory.Delete(Destination, recursive: true);

        var tar = await FetchAsync(Tar(t =>
        {
            t.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "./link") { LinkName = "bin/run.sh" });
            t.WriteEntry(File("./bin/run.sh", "#!", UnixFileMode.UserExecute | UnixFileMode.SetUser | UnixFileMode.OtherWrite));
            t.WriteEntry(File("./index.html", "hello"));
        }));
        Assert.Equal((first, 3), (tar.Digest, zip.Files));
        Assert.Equal("-rwxr-xr-x", Mode("bin/run.sh"));
    }

    [Theory]
    [InlineData("../evil")]
    [InlineData("a/../../evil")]
    [InlineData("/etc/evil")]
    [InlineData("C:/evil")]
    [InlineData("c:evil")]
    [InlineData("a\\..\\evil")]
    [InlineData("\\\\server\\evil")]
    [InlineData("new\nline")]
    [InlineData("a/..")]
    public async Task FetchAsync_NameThatLeavesTheRoot_IsRefusedByName(string name)
    {
        foreach (var archive in new[] { Zip(z => { Add(z, "ok", "x"); Add(z, name, "x"); }), Tar(t => { t.WriteEntry(File("ok", "x")); t.WriteEntry(File(name, "x")); }) })
        {
            var error = await RefuseAsync(archive, SourceErrors.BadEntry);
            Assert.Contains(EntryPath.Printable(name), error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("l", "../outside")]
    [InlineData("l", "/etc/passwd")]
    [InlineData("a/l", "../../outside")]
    [InlineData("l", "")]
    [InlineData("l", "l")]
    public async Task FetchAsync_LinkOut_IsRefusedByName(string name, string target)
    {
        var error = await RefuseAsync(Zip(z => { Add(z, "ok", "x"); Add(z, name, target, LinkMode); }), SourceErrors.BadEntry);
        Assert.Contains($"'{name}'", error.Message, StringComparison.Ordinal);
        if (target.Length > 0)
            await RefuseAsync(Tar(t => { t.WriteEntry(File("ok", "x")); t.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, name) { LinkName = target }); }), SourceErrors.BadEntry);
    }

    [Fact]
    public async Task FetchAsync_ChainOfLinksOut_IsRefused()
    {
        // Each link alone stays inside: together "b/up" leads above the root.
        await RefuseAsync(
            Zip(z =>
            {
                Add(z, "a/b/ok", "x");
                Add(z, "near", "a/b", LinkMode);
                Add(z, "out", "near/../../..", LinkMode);
            }),
            SourceErrors.BadEntry);
        await FetchAsync(Zip(z =>
        {
            Add(z, "a/b/ok", "x");
            Add(z, "near", "a/b", LinkMode);
            Add(z, "in", "near/../b/ok", LinkMode);
        }));
    }

    [Fact]
    public async Task FetchAsync_FileBelowALink_IsRefused()
    {
        await RefuseAsync(Zip(z => { Add(z, "d/ok", "x"); Add(z, "l", "d", LinkMode); Add(z, "l/evil", "x"); }), SourceErrors.BadEntry);
        await RefuseAsync(Tar(t =>
        {
            t.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "l") { LinkName = "." });
            t.WriteEntry(File("l/evil", "x"));
        }), SourceErrors.BadEntry);
    }

    [Fact]
    public async Task FetchAsync_HardLinks_InsideAreCopiedOutsideRefused()
    {
        await FetchAsync(Tar(t =>
        {
            t.WriteEntry(File("a", "same"));
            t.WriteEntry(new PaxTarEntry(TarEntryType.HardLink, "b") { LinkName = "a" });
        }));
        Assert.Equal("same", await System.IO.File.ReadAllTextAsync(Path.Combine(Destination, "b"), Token));
        Directory.Delete(Destination, recursive: true);
        foreach (var target in new[] { "/etc/passwd", "../x", "later" })
            await RefuseAsync(Tar(t =>
            {
                t.WriteEntry(File("a", "x"));
                t.WriteEntry(new PaxTarEntry(TarEntryType.HardLink, "b") { LinkName = target });
                t.WriteEntry(File("later", "x"));
            }), SourceErrors.BadEntry);
    }

    [Theory]
    [InlineData(TarEntryType.Fifo)]
    [InlineData(TarEntryType.CharacterDevice)]
    [InlineData(TarEntryType.BlockDevice)]
    public async Task FetchAsync_DeviceOrPipe_IsRefusedByName(TarEntryType type)
    {
        var error = await RefuseAsync(Tar(t => { t.WriteEntry(File("ok", "x")); t.WriteEntry(new PaxTarEntry(type, "special")); }), SourceErrors.BadEntry);
        Assert.Contains("'special'", error.Message, StringComparison.Ordinal);
        await RefuseAsync(Zip(z => { Add(z, "ok", "x"); Add(z, "special", "", 0x1180); }), SourceErrors.BadEntry);
    }

    [Fact]
    public async Task FetchAsync_DuplicatesAndCaseTricks_AreRefused()
    {
        await RefuseAsync(Zip(z => { Add(z, "a", "1"); Add(z, "./a", "2"); }), SourceErrors.BadEntry);
        await RefuseAsync(Zip(z => { Add(z, "x/A", "1"); Add(z, "x/a", "2"); }), SourceErrors.BadEntry);
        await RefuseAsync(Zip(z => { Add(z, "a", "1"); Add(z, "a/b", "2"); }), SourceErrors.BadEntry);
        await RefuseAsync(Zip(z => { Add(z, "a/b", "1"); Add(z, "a", "2"); }), SourceErrors.BadEntry);
    }

    [Fact]
    public async Task FetchAsync_Bomb_StopsAtTheLimitAndKeepsNothing()
    {
        var limits = new SourceLimits { MaxBytes = 1 << 20 };
        var zeros = new byte[64 << 20];
        await RefuseAsync(Zip(z => { Add(z, "ok", "x"); Add(z, "bomb", zeros); }), SourceErrors.TooLarge, limits);
        await RefuseAsync(Tar(t => { t.WriteEntry(File("ok", "x")); t.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "bomb") { DataStream = new MemoryStream(zeros) }); }), SourceErrors.TooLarge, limits);

        // Sizes in headers are lies: here every header of the zip says one byte.
        var lying = Zip(z => Add(z, "bomb", zeros));
        var bytes = await System.IO.File.ReadAllBytesAsync(lying, Token);
        var size = BitConverter.GetBytes(zeros.Length);
        for (var at = bytes.AsSpan().IndexOf(size); at >= 0; at = bytes.AsSpan().IndexOf(size))
            BitConverter.GetBytes(1).CopyTo(bytes, at);
        await System.IO.File.WriteAllBytesAsync(lying, bytes, Token);
        await Assert.ThrowsAsync<SourceException>(() => FetchAsync(lying, limits));
        AssertNothingLeft();
    }

    [Fact]
    public async Task FetchAsync_TooManyEntries_IsRefused()
    {
        var limits = new SourceLimits { MaxFiles = 10 };
        await RefuseAsync(Zip(z => { for (var i = 0; i < 11; i++) Add(z, $"{i}", ""); }), SourceErrors.TooManyFiles, limits);
        await RefuseAsync(Tar(t => { for (var i = 0; i < 11; i++) t.WriteEntry(File($"{i}", "x")); }), SourceErrors.TooManyFiles, limits);
        await RefuseAsync(Zip(z => Add(z, string.Concat(Enumerable.Repeat("d/", 12)) + "x", "")), SourceErrors.TooManyFiles, limits);
        await RefuseAsync(Zip(z => Add(z, string.Concat(Enumerable.Repeat("d/", 80)) + "x", "")), SourceErrors.BadEntry);
    }

    [Fact]
    public async Task FetchAsync_OneFolder_IsUnwrapped()
    {
        await FetchAsync(Zip(z => { Add(z, "shop-main/index.html", "x"); Add(z, "__MACOSX/shop-main/._index.html", "x"); Add(z, "shop-main/.DS_Store", "x"); Add(z, "shop-main/.git/config", "x"); }));
        Assert.Equal(["index.html"], Directory.EnumerateFileSystemEntries(Destination).Select(Path.GetFileName));
        Directory.Delete(Destination, recursive: true);
        await FetchAsync(Zip(z => { Add(z, "a/index.html", "x"); Add(z, "b.txt", "x"); }));
        Assert.True(System.IO.File.Exists(Path.Combine(Destination, "a/index.html")));
    }

    [Fact]
    public async Task FetchAsync_UnwrappedFolderWithLinkToItsSide_IsRefused() =>
        await RefuseAsync(Zip(z => { Add(z, "shop/index.html", "x"); Add(z, "shop/l", "../shop/../shop/index.html", LinkMode); }), SourceErrors.BadEntry);

    [Fact]
    public async Task FetchAsync_DamagedOrForeign_SaysSo()
    {
        await RefuseAsync(_folder.Write("x.zip", "hello"), SourceErrors.BadArchive);
        await RefuseAsync(Zip(_ => { }), SourceErrors.Empty);
        var zip = Zip(z => Add(z, "a", new string('x', 5000)));
        var bytes = await System.IO.File.ReadAllBytesAsync(zip, Token);
        await System.IO.File.WriteAllBytesAsync(zip, bytes[..^30], Token);
        await RefuseAsync(zip, SourceErrors.BadArchive);

        // One bit of the content: the check sum tells.
        bytes[40] ^= 1;
        await System.IO.File.WriteAllBytesAsync(zip, bytes, Token);
        await RefuseAsync(zip, SourceErrors.BadArchive);

        var tar = Tar(t => t.WriteEntry(File("a", new string('x', 100_000))), compress: false);
        bytes = await System.IO.File.ReadAllBytesAsync(tar, Token);
        await System.IO.File.WriteAllBytesAsync(tar, bytes[..60_000], Token);
        await RefuseAsync(tar, SourceErrors.BadArchive);
    }

    [Fact]
    public async Task FetchAsync_ManyFiles_IsQuick()
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var source = await FetchAsync(Zip(z => { for (var i = 0; i < 5000; i++) Add(z, $"d{i % 50}/f{i}", "content " + i); }));
        Assert.Equal(5000, source.Files);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), $"took {clock.Elapsed}");
    }

    private static void Add(ZipArchive zip, string name, string content, int mode = 0) => Add(zip, name, Encoding.UTF8.GetBytes(content), mode);

    private static void Add(ZipArchive zip, string name, byte[] content, int mode = 0)
    {
        var entry = zip.CreateEntry(name, CompressionLevel.Optimal);
        entry.ExternalAttributes = mode is > 0 and < 0x10000 ? mode << 16 : mode;
        using var stream = entry.Open();
        stream.Write(content);
    }

    private static PaxTarEntry File(string name, string content, UnixFileMode mode = UnixFileMode.UserRead) =>
        new(TarEntryType.RegularFile, name) { Mode = mode, DataStream = new MemoryStream(Encoding.UTF8.GetBytes(content)) };

    private string Zip(Action<ZipArchive> fill)
    {
        var path = _folder[$"{Guid.NewGuid():N}.zip"];
        using var zip = ZipFile.Open(path, ZipArchiveMode.Create);
        fill(zip);
        return path;
    }

    private string Tar(Action<TarWriter> fill, bool compress = true)
    {
        var path = _folder[$"{Guid.NewGuid():N}.tar"];
        using var file = System.IO.File.Create(path);
        using Stream stream = compress ? new GZipStream(file, CompressionLevel.Optimal) : file;
        using var tar = new TarWriter(stream);
        fill(tar);
        return path;
    }

    private string Mode(string name)
    {
        var mode = System.IO.File.GetUnixFileMode(Path.Combine(Destination, name));
        const string Letters = "rwxrwxrwx";
        return "-" + string.Concat(Letters.Select((letter, i) => ((int)mode & (1 << (8 - i))) != 0 ? letter : '-')) + (((int)mode & 0b111_000_000_000) != 0 ? "s" : "");
    }

    private Task<FetchedSource> FetchAsync(string archive, SourceLimits? limits = null) =>
        new SourceFetcher(limits).FetchAsync(new ArchiveSource(archive), Destination, new BuildLog(line => _lines.Add(line.Text)), Token);

    private async Task<SourceException> RefuseAsync(string archive, string code, SourceLimits? limits = null)
    {
        var error = await Assert.ThrowsAsync<SourceException>(() => FetchAsync(archive, limits));
        Assert.Equal(code, error.Code);
        AssertNothingLeft();
        return error;
    }

    private void AssertNothingLeft() =>
        Assert.Empty(Directory.EnumerateDirectories(_folder.Path).Select(Path.GetFileName));
}
