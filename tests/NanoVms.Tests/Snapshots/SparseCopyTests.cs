using FsCheck;
using FsCheck.Fluent;
using NanoVms.Machines;
using NanoVms.Snapshots;

namespace NanoVms.Tests.Snapshots;

public sealed class SparseCopyTests : IDisposable
{
    private const int Page = 4096;

    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-sparse-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Copy_LongFileWithHoles_SameBytesAndAsMuchRoom()
    {
        var path = Path.Combine(_folder, "source");
        using var source = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite);
        RandomAccess.SetLength(source, (1L << 30) + 7);
        var places = new[] { 0L, 65_535, 16 << 20, (16 << 20) - 1, 500_000_000, (1L << 30) + 6 };
        foreach (var place in places)
            RandomAccess.Write(source, [(byte)(place % 250 + 1)], place);

        using var copy = File.OpenHandle(Path.Combine(_folder, "copy"), FileMode.CreateNew, FileAccess.ReadWrite);
        var sums = await SparseCopy.CopyAsync(source, copy, CancellationToken.None);

        Assert.Equal(sums, await SparseCopy.SumAsync(copy, CancellationToken.None));
        Assert.Equal((1L << 30) + 7, RandomAccess.GetLength(copy));
        var one = new byte[1];
        foreach (var place in places)
        {
            _ = RandomAccess.Read(copy, one, place);
            Assert.Equal((byte)(place % 250 + 1), one[0]);
        }
    }

    [Fact]
    public void Sum_OneByteChanged_IsAnother() => Prop.ForAll<NonEmptyArray<byte>, ushort, byte>(ChangesSum).QuickCheckThrowOnFailure();

    private bool ChangesSum(NonEmptyArray<byte> bytes, ushort place, byte change)
    {
        var content = bytes.Get;
        var path = Path.Combine(_folder, Guid.NewGuid().ToString("N"));
        File.WriteAllBytes(path, content);
        var before = Sum();
        content[place % content.Length] ^= change;
        File.WriteAllBytes(path, content);
        return change == 0 || !before.AsSpan().SequenceEqual(Sum());

        uint[] Sum()
        {
            using var file = File.OpenHandle(path);
            return SparseCopy.SumAsync(file, CancellationToken.None).GetAwaiter().GetResult();
        }
    }

    [Fact]
    public async Task CopyDifference_ThreeInARow_EachIsWholeAndSmall()
    {
        const int granule = SparseSource.Granule;
        const long length = (40L * granule) + 100;
        using var live = File.OpenHandle(Path.Combine(_folder, "live"), FileMode.CreateNew, FileAccess.ReadWrite);
        RandomAccess.SetLength(live, length);
        for (var i = 0; i < 30; i++)
            RandomAccess.Write(live, Filled((byte)(i + 1)), i * (long)granule);

        string? parent = null;
        var saved = new List<(byte[] Content, uint[] Sums)>();
        for (var round = 0; round < 3; round++)
        {
            // Changed, emptied, and new at the end, which is no whole granule.
            RandomAccess.Write(live, [(byte)(100 + round)], (5 + round) * (long)granule);
            RandomAccess.Write(live, new byte[granule], (20 + round) * (long)granule);
            RandomAccess.Write(live, [(byte)(round + 1)], length - 1);
            var folder = Directory.CreateDirectory(Path.Combine(_folder, $"s{round}")).FullName;
            using (var copy = File.OpenHandle(Path.Combine(folder, "memory"), FileMode.CreateNew, FileAccess.ReadWrite))
                saved.Add((Content(live), await SnapshotWriter.CopyAsync(new SparseSource(live), copy, Path.Combine(folder, "memory"), parent, "memory", CancellationToken.None)));
            Manifest(folder, parent, round);
            Assert.InRange(SparseSource.AllocatedBytes(Path.Combine(folder, "memory")), 1, parent is null ? length : 3 * granule);
            parent = folder;
        }

        for (var round = 0; round < 3; round++)
        {
            using var source = SparseSource.Open(Path.Combine(_folder, $"s{round}"), "memory");
            using var copy = File.OpenHandle(Path.Combine(_folder, $"copy{round}"), FileMode.CreateNew, FileAccess.ReadWrite);
            Assert.Equal(saved[round].Sums, await SparseCopy.CopyAsync(source, copy, CancellationToken.None));
            Assert.Equal(saved[round].Content, Content(copy));
        }

        Directory.Move(Path.Combine(_folder, "s1"), Path.Combine(_folder, "away"));
        Assert.Contains("s1", Assert.ThrowsAny<SnapshotException>(() => SparseSource.Open(Path.Combine(_folder, "s2"), "memory")).Message, StringComparison.Ordinal);

        static byte[] Filled(byte value)
        {
            var bytes = new byte[granule];
            bytes.AsSpan().Fill(value);
            return bytes;
        }

        static byte[] Content(Microsoft.Win32.SafeHandles.SafeFileHandle file)
        {
            var bytes = new byte[length];
            _ = RandomAccess.Read(file, bytes, 0);
            return bytes;
        }
    }

    private static void Manifest(string folder, string? parent, int depth) => new SnapshotManifest
    {
        CreatedAt = DateTimeOffset.UnixEpoch,
        Spec = new MachineSpec { Name = "saved" },
        Driver = "qemu",
        Accelerated = false,
        HasMain = false,
        Parent = Path.GetFileName(parent),
        Depth = depth,
    }.Write(folder);

    [Fact]
    public async Task Sum_ZeroesWrittenOrNot_IsTheSame()
    {
        using var hole = File.OpenHandle(Path.Combine(_folder, "hole"), FileMode.CreateNew, FileAccess.ReadWrite);
        RandomAccess.SetLength(hole, 100 * Page);
        using var zeroes = File.OpenHandle(Path.Combine(_folder, "zeroes"), FileMode.CreateNew, FileAccess.ReadWrite);
        RandomAccess.Write(zeroes, new byte[100 * Page], 0);
        Assert.Equal(await SparseCopy.SumAsync(hole, CancellationToken.None), await SparseCopy.SumAsync(zeroes, CancellationToken.None));
    }
}
