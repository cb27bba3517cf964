using BytePort.Edge.StaticFiles;
using Microsoft.Extensions.Options;

namespace BytePort.Edge.Tests.StaticFiles;

public sealed class BlobCacheTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task GetAsync_Twice_ReadsOnce()
    {
        var cache = Cache(1000);
        var blob = Blob("a", 100);
        var first = await cache.GetAsync(blob, TestContext.Current.CancellationToken);
        File.Delete(blob.BlobPath);
        Assert.Same(first, BlobCache.TryGet(blob));
        Assert.Same(first, await cache.GetAsync(blob, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task GetAsync_SameBlobOfTwoSites_IsHeldOnce()
    {
        var cache = Cache(1000);
        var blob = Blob("a", 100);
        var other = new Representation(blob.BlobPath, 100, "a", null);
        Assert.Same(await cache.GetAsync(blob, TestContext.Current.CancellationToken), await cache.GetAsync(other, TestContext.Current.CancellationToken));
        Assert.Equal(100, cache.Bytes);
    }

    [Fact]
    public async Task GetAsync_Full_DropsWhatIsNotUsedAndStaysBounded()
    {
        var cache = Cache(1000);
        var hot = Blob("hot", 100);
        await cache.GetAsync(hot, TestContext.Current.CancellationToken);
        for (var i = 0; i < 50; i++)
        {
            await cache.GetAsync(Blob($"cold{i}", 100), TestContext.Current.CancellationToken);
            BlobCache.TryGet(hot);
            Assert.InRange(cache.Bytes, 0, 1000);
        }

        Assert.NotNull(BlobCache.TryGet(hot));
    }

    [Fact]
    public async Task GetAsync_ManyAtOnce_StaysBoundedAndRight()
    {
        var cache = Cache(1000);
        var blobs = Enumerable.Range(0, 40).Select(i => Blob($"b{i}", 90 + i)).ToArray();
        await Parallel.ForEachAsync(Enumerable.Range(0, 4000), TestContext.Current.CancellationToken, async (i, cancellationToken) =>
        {
            var blob = blobs[i * 7919 % blobs.Length];
            Assert.Equal(blob.Length, (await cache.GetAsync(blob, cancellationToken)).Length);
        });
        Assert.InRange(cache.Bytes, 0, 1000);
    }

    [Fact]
    public async Task GetAsync_WrongLengthOrMissing_ThrowsAndRecovers()
    {
        var cache = Cache(1000);
        var blob = Blob("a", 100);
        File.WriteAllBytes(blob.BlobPath, new byte[99]);
        await Assert.ThrowsAsync<IOException>(() => cache.GetAsync(blob, TestContext.Current.CancellationToken));
        File.Delete(blob.BlobPath);
        await Assert.ThrowsAsync<FileNotFoundException>(() => cache.GetAsync(blob, TestContext.Current.CancellationToken));
        File.WriteAllBytes(blob.BlobPath, new byte[100]);
        Assert.Equal(100, (await cache.GetAsync(blob, TestContext.Current.CancellationToken)).Length);
    }

    [Fact]
    public void Takes_LargerThanTheLimit_No() => Assert.False(Cache(100).Takes(Blob("big", 101)));

    private static BlobCache Cache(long bytes) => new(Options.Create(new EdgeOptions { CacheBytes = bytes }));

    private Representation Blob(string name, int length) => new(_folder.Write(name, new byte[length]), length, name, null);
}
