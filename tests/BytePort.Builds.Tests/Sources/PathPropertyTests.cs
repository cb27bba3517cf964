using BytePort.Builds.Logs;
using BytePort.Builds.Sources;
using FsCheck;
using FsCheck.Fluent;

namespace BytePort.Builds.Tests.Sources;

public sealed class PathPropertyTests
{
    private static readonly string[] Parts = ["a", "b", "..", ".", "", "c:", "\\", "\0", "link", "é", "\n", "..."];

    private static Gen<string> Names =>
        from parts in Gen.Elements(Parts).ListOf(6)
        from slash in Gen.Elements("", "/")
        select slash + string.Join('/', parts);

    [Fact]
    public void Normalize_AnyName_StaysInsideOrIsRefused() =>
        Check.QuickThrowOnFailure(Prop.ForAll(Names.ToArbitrary(), name =>
        {
            string path;
            try
            {
                path = EntryPath.Normalize(name, new SourceLimits());
            }
            catch (SourceException e)
            {
                return e.Code == SourceErrors.BadEntry;
            }

            var full = Path.GetFullPath(Path.Combine("/root/of/all", path));
            return (full == "/root/of/all" || full.StartsWith("/root/of/all/", StringComparison.Ordinal))
                && EntryPath.Normalize(path.Length == 0 ? "." : path, new SourceLimits()) == path;
        }));

    /// <summary>The rules on paper agree with the kernel: a set of links that passes never resolves to something outside.</summary>
    [Fact]
    public void Problem_AnySetOfLinks_AgreesWithTheFileSystem()
    {
        var names = Gen.Elements("a", "b", "c", "d/a", "d/b", "d/e/a");
        var targets = Gen.Elements("a", "b", "..", "../a", "../b/..", "d", "d/e", "e/a", "../..", "d/../..", "b/../../c", ".", "missing/x");
        var links = Gen.Zip(names, targets).ListOf(5);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(300), Prop.ForAll(links.ToArbitrary(), pairs =>
        {
            var set = pairs.GroupBy(pair => pair.Item1).ToDictionary(group => group.Key, group => group.First().Item2);
            if (set.Keys.Any(name => LinkRules.Problem(name, set) is not null))
                return true;
            using var folder = new TestFolder();
            var root = folder["root"];
            Directory.CreateDirectory(Path.Combine(root, "d/e"));
            foreach (var (name, target) in set)
                File.CreateSymbolicLink(Path.Combine(root, name), target);
            return set.Keys.All(name => RealPath(Path.Combine(root, name)) is not { } real || real == root || real.StartsWith(root + "/", StringComparison.Ordinal));
        }));
    }

    [Fact]
    public async Task ExtractTarAsync_AnyBytes_RefusesOrStaysInside()
    {
        var random = new Random(7);
        var valid = new MemoryStream();
        using (var writer = new System.Formats.Tar.TarWriter(valid, leaveOpen: true))
        {
            writer.WriteEntry(new System.Formats.Tar.PaxTarEntry(System.Formats.Tar.TarEntryType.RegularFile, new string('n', 150) + "/x") { DataStream = new MemoryStream(new byte[700]) });
            writer.WriteEntry(new System.Formats.Tar.GnuTarEntry(System.Formats.Tar.TarEntryType.SymbolicLink, "l") { LinkName = new string('t', 150) });
        }

        for (var round = 0; round < 400; round++)
        {
            var bytes = valid.ToArray();
            for (var flips = random.Next(1, 6); flips > 0; flips--)
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            FixCheckSums(bytes);
            using var folder = new TestFolder();
            var root = Directory.CreateDirectory(folder["root"]).FullName;
            try
            {
                var limits = new SourceLimits { MaxBytes = 1 << 20 };
                var writer = new TreeWriter(root, new TreeRules { Limits = limits });
                await ArchiveExtractor.ExtractTarAsync(new MemoryStream(bytes), writer, limits, BuildLog.None, TestContext.Current.CancellationToken);
                writer.Complete();
            }
            catch (SourceException)
            {
            }
            catch (EndOfStreamException)
            {
            }

            Assert.Equal(["root"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName));
        }
    }

    /// <summary>Without right check sums every change would end at the first test.</summary>
    private static void FixCheckSums(byte[] tar)
    {
        for (var at = 0; at + 512 <= tar.Length; at += 512)
        {
            var header = tar.AsSpan(at, 512);
            if (!header.Slice(257, 5).SequenceEqual("ustar"u8))
                continue;
            "        "u8.CopyTo(header[148..]);
            var sum = 0;
            foreach (var value in header)
                sum += value;
            System.Text.Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(header[148..]);
        }
    }

    private static string? RealPath(string path)
    {
        try
        {
            return NanoVms.Commands.CommandRunner.RunAsync(new NanoVms.Commands.Command("realpath", "--canonicalize-missing", path), CancellationToken.None)
                .GetAwaiter().GetResult() is { Succeeded: true } result ? result.StandardOutput.TrimEnd('\n') : null;
        }
        catch (IOException)
        {
            return null;
        }
    }
}
