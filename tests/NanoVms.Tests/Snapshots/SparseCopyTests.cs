using FsCheck;
using FsCheck.Fluent;
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
    public async Task Sum_ZeroesWrittenOrNot_IsTheSame()
    {
        using var hole = File.OpenHandle(Path.Combine(_folder, "hole"), FileMode.CreateNew, FileAccess.ReadWrite);
        RandomAccess.SetLength(hole, 100 * Page);
        using var zeroes = File.OpenHandle(Path.Combine(_folder, "zeroes"), FileMode.CreateNew, FileAccess.ReadWrite);
        RandomAccess.Write(zeroes, new byte[100 * Page], 0);
        Assert.Equal(await SparseCopy.SumAsync(hole, CancellationToken.None), await SparseCopy.SumAsync(zeroes, CancellationToken.None));
    }
}
