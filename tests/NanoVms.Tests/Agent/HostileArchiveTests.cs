using System.Text;
using NanoVms.Agent.Archives;
using NanoVms.Agent.Copies;
using NanoVms.Machines;

namespace NanoVms.Tests.Agent;

/// <summary>The host's writer against archives that a guest made to hurt.</summary>
public sealed class HostileArchiveTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("archive").FullName;

    private string Target => $"{_folder}/target";

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("top/../../evil")]
    [InlineData("top/a/../../../evil")]
    [InlineData("../evil")]
    [InlineData("/evil")]
    [InlineData("//top/evil")]
    [InlineData("evil")]
    [InlineData("./top/evil")]
    [InlineData("top/./evil")]
    [InlineData("top//evil")]
    [InlineData("topp/evil")]
    [InlineData("top/\u00ff\u00fe")]
    [InlineData("top/a\nb/..")]
    public void Write_NameThatLeadsElsewhere_IsRefused(string path) =>
        AssertRefused([new TarEntry(TarKind.File, path, 4, 0x1FF, 0, 0, 0)]);

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("..")]
    [InlineData("../evil")]
    [InlineData("a/../../evil")]
    [InlineData("a/..")]
    [InlineData("./../evil")]
    [InlineData("")]
    public void Write_LinkThatLeadsOut_IsSkipped(string link)
    {
        var result = Write([Dir("top"), new TarEntry(TarKind.SymbolicLink, "top/link", 0, 0x1FF, 0, 0, 0, link), Dir("top/after")]);
        Assert.Equal(["top/link"], result.Skipped);
        Assert.Equal(["after"], Directory.EnumerateFileSystemEntries(Target).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData("a")]
    [InlineData("./a/b")]
    [InlineData("../a")]
    [InlineData("../../a/b")]
    public void Write_LinkThatStays_IsMade(string link)
    {
        var result = Write([Dir("top"), Dir("top/x"), Dir("top/x/y"), new TarEntry(TarKind.SymbolicLink, "top/x/y/link", 0, 0x1FF, 0, 0, 0, link)]);
        Assert.Empty(result.Skipped);
        Assert.Equal(link, new FileInfo($"{Target}/x/y/link").LinkTarget);
    }

    [Fact]
    public void Write_ThroughALinkOfTheArchive_GoesNowhereElse()
    {
        // The link is replaced by a folder, or the other way round: refused; in no order is it followed.
        Directory.CreateDirectory($"{_folder}/elsewhere");
        var link = new TarEntry(TarKind.SymbolicLink, "top/a", 0, 0x1FF, 0, 0, 0, "b");
        var file = new TarEntry(TarKind.File, "top/a/file", 4, 0x1FF, 0, 0, 0);
        AssertRefused([Dir("top"), link, file]);
        AssertRefused([Dir("top"), file, link]);
    }

    [Fact]
    public void Write_LinkThatWasThere_IsNotFollowed()
    {
        Directory.CreateDirectory($"{_folder}/elsewhere");
        Directory.CreateDirectory(Target);
        File.WriteAllText($"{_folder}/elsewhere/kept", "kept");
        File.CreateSymbolicLink($"{Target}/dir", $"{_folder}/elsewhere");
        File.CreateSymbolicLink($"{Target}/file", $"{_folder}/elsewhere/kept");
        AssertRefused([Dir("top"), new TarEntry(TarKind.File, "top/dir/kept", 4, 0x1FF, 0, 0, 0)]);
        Write([Dir("top"), new TarEntry(TarKind.File, "top/file", 4, 0x1FF, 0, 0, 0)]);
        Assert.Equal("kept", File.ReadAllText($"{_folder}/elsewhere/kept"));
        Assert.Equal("data", File.ReadAllText($"{Target}/file"));
    }

    [Fact]
    public void Write_SpecialBitsDevicesAndHardLinks_AreLeftOut()
    {
        var device = TarWriter.Head(new TarEntry(TarKind.File, "top/device", 0, 0x1FF, 0, 0, 0));
        device[156] = (byte)'3';
        Fix(device);
        var result = Write([
            .. TarWriter.Head(Dir("top")),
            .. TarWriter.Head(new TarEntry(TarKind.File, "top/suid", 4, 0xFFF, 0, 0, 0)),
            .. Data(4),
            .. device,
            .. TarWriter.Head(new TarEntry(TarKind.HardLink, "top/hard", 0, 0x1FF, 0, 0, 0, "/etc/passwd")),
            .. TarWriter.End]);
        Assert.Equal(["top/device", "top/hard"], result.Skipped);
        Assert.Equal((UnixFileMode)0x1FF, File.GetUnixFileMode($"{Target}/suid"));
        Assert.Equal(["suid"], Directory.EnumerateFileSystemEntries(Target).Select(Path.GetFileName));
    }

    [Fact]
    public void Write_MoreThanAllowed_IsRefused()
    {
        var file = new TarEntry(TarKind.File, "top/a", 4, 0x1FF, 0, 0, 0);
        AssertRefused([Dir("top"), file, file with { Path = "top/b" }], new CopyLimits(MaxBytes: 7));
        AssertRefused([Dir("top"), file], new CopyLimits(MaxEntries: 1));

        // A size alone, of which nothing comes.
        AssertRefused(TarWriter.Head(file with { Size = 1L << 60 }));

        // Attributes that ask for memory.
        var pax = TarWriter.Head(file with { Path = "pax", Size = (1L << 33) - 1 });
        pax[156] = (byte)'x';
        Fix(pax);
        var before = GC.GetAllocatedBytesForCurrentThread();
        AssertRefused(pax);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void Write_ArchiveCutAnywhere_IsRefused()
    {
        var whole = Archive([Dir("top"), new TarEntry(TarKind.File, "top/a", 4, 0x1FF, 0, 0, 0)]);
        for (var length = 0; length < whole.Length - 512; length += 57)
            AssertRefused(whole[..length]);
    }

    [Fact]
    public void Write_MutatedArchives_StayInTheFolder()
    {
        var random = new Random(11);
        var seed = Archive([
            Dir("top"),
            new TarEntry(TarKind.File, "top/a", 4, 0x1FF, 0, 0, 0),
            new TarEntry(TarKind.SymbolicLink, "top/l", 0, 0x1FF, 0, 0, 0, "a"),
            new TarEntry(TarKind.File, "top/" + new string('n', 200), 4, 0x1FF, 0, 3_000_000_000, 0)]);
        for (var round = 0; round < 1500; round++)
        {
            var bytes = seed.ToArray();
            for (var changes = random.Next(1, 8); changes > 0; changes--)
                bytes[random.Next(bytes.Length)] = (byte)(random.Next(2) == 0 ? "/.. 0127x\0"[random.Next(10)] : random.Next(256));
            if (random.Next(4) > 0)
            {
                for (var at = 0; at + 512 <= bytes.Length; at += 512)
                    Fix(bytes.AsSpan(at, 512));
            }

            try
            {
                Write(bytes);
            }
            catch (InvalidDataException)
            {
                // Refused.
            }

            Assert.All(Directory.EnumerateFileSystemEntries(_folder), path => Assert.Equal(Target, path));
            if (Directory.Exists(Target))
                Directory.Delete(Target, recursive: true);
            else
                File.Delete(Target);
        }
    }

    private static TarEntry Dir(string path) => new(TarKind.Directory, path + "/", 0, 0x1ED, 0, 0, 0);

    private static byte[] Data(int length) => [.. "data"u8.ToArray().Take(length), .. new byte[TarWriter.Padding(length)]];

    private static byte[] Archive(IEnumerable<TarEntry> entries) =>
        [.. entries.SelectMany(e => e.Kind == TarKind.File ? [.. TarWriter.Head(e), .. Data(4)] : TarWriter.Head(e)), .. TarWriter.End];

    /// <summary>Makes a head's check sum right.</summary>
    private static void Fix(Span<byte> head)
    {
        if (head.IndexOfAnyExcept((byte)0) < 0)
            return;
        head.Slice(148, 8).Fill((byte)' ');
        var sum = 0;
        foreach (var one in head)
            sum += one;
        Encoding.ASCII.GetBytes($"{Convert.ToString(sum, 8).PadLeft(6, '0')}\0").CopyTo(head[148..]);
    }

    private CopyResult Write(IEnumerable<TarEntry> entries) => Write(Archive(entries));

    private CopyResult Write(byte[] archive, CopyLimits? limits = null)
    {
        using var writer = new FolderWriter(Target, "top", limits ?? new CopyLimits(1 << 20, 1000));
        foreach (var piece in archive.Chunk(100))
            writer.Feed(piece);
        return writer.Finish();
    }

    private void AssertRefused(IEnumerable<TarEntry> entries, CopyLimits? limits = null) => AssertRefused(Archive(entries), limits);

    private void AssertRefused(byte[] archive, CopyLimits? limits = null)
    {
        Assert.Throws<InvalidDataException>(() => Write(archive, limits));
        Assert.DoesNotContain(
            Directory.EnumerateFileSystemEntries(_folder, "*", SearchOption.AllDirectories), path => Path.GetFileName(path) == "evil");
        Assert.True(!Directory.Exists($"{_folder}/elsewhere") || Directory.EnumerateFileSystemEntries($"{_folder}/elsewhere").Count() <= 1);
    }
}
