using System.Text;
using BytePort.Builds.Blobs;

namespace BytePort.Builds.Tests.Blobs;

public sealed class BlobStoreTests : IDisposable
{
    private const string HelloDigest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    private readonly TestFolder _folder = new();
    private readonly BlobStore _blobs;

    public BlobStoreTests() => _blobs = new BlobStore(_folder["blobs"]);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task PutAsync_Stream_IsNamedByItsSha256()
    {
        var blob = await _blobs.PutAsync(new MemoryStream("hello"u8.ToArray()), 5, Token);
        Assert.Equal(new Blob(HelloDigest, 5), blob);
        Assert.Equal("hello", await File.ReadAllTextAsync(_blobs.GetPath(blob.Digest), Token));
        Assert.True(_blobs.Exists(HelloDigest));
        Assert.Empty(Directory.GetFiles(_blobs.Aside));
    }

    [Fact]
    public async Task PutAsync_PastTheLimit_ThrowsAndKeepsNothing()
    {
        await Assert.ThrowsAsync<BlobTooLargeException>(() => _blobs.PutAsync(new MemoryStream(new byte[1000]), 999, Token));
        Assert.Empty(_blobs.Enumerate());
        Assert.Empty(Directory.GetFiles(_blobs.Aside));
    }

    [Fact]
    public async Task PutAsync_SameContentAtOnce_IsStoredOnce()
    {
        await Parallel.ForAsync(0, 32, Token, async (_, token) => await _blobs.PutAsync(new MemoryStream("hello"u8.ToArray()), 5, token));
        Assert.Equal(HelloDigest, Assert.Single(_blobs.Enumerate()).Digest);
        Assert.Empty(Directory.GetFiles(_blobs.Aside));
    }

    [Theory]
    [InlineData("")]
    [InlineData("../../etc/passwd")]
    [InlineData("2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824")]
    public void GetPath_NoDigest_Throws(string digest) => Assert.Throws<ArgumentException>(() => _blobs.GetPath(digest));

    [Fact]
    public async Task MoveInAsync_File_IsMovedAndGone()
    {
        var path = _folder.Write("x", "hello");
        Assert.Equal(HelloDigest, (await _blobs.MoveInAsync(path, Token)).Digest);
        Assert.False(File.Exists(path));
        Assert.Equal(HelloDigest, (await _blobs.MoveInAsync(_folder.Write("y", "hello"), Token)).Digest);
        Assert.False(File.Exists(_folder["y"]));
        Assert.Single(_blobs.Enumerate());
    }

    [Fact]
    public async Task Commit_ManyBlobs_AllAreStoredWithTheirContent()
    {
        using var batch = new BlobBatch(_blobs);
        var blobs = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => batch.AddAsync(Encoding.UTF8.GetBytes($"blob {i}"), Token)));
        Assert.Empty(_blobs.Enumerate());
        batch.Commit();
        for (var i = 0; i < blobs.Length; i++)
            Assert.Equal($"blob {i}", await File.ReadAllTextAsync(_blobs.GetPath(blobs[i].Digest), Token));
    }

    [Fact]
    public async Task Dispose_WithoutCommit_LeavesNothing()
    {
        using (var batch = new BlobBatch(_blobs))
            await batch.AddAsync("hello"u8.ToArray(), Token);
        Assert.Empty(_blobs.Enumerate());
        Assert.Empty(Directory.GetFiles(_blobs.Aside));
    }

    [Fact]
    public async Task RemoveUnreferenced_OldAndUnreferenced_GoesWithItsNoteTheRestStays()
    {
        var kept = await _blobs.PutAsync("kept"u8.ToArray(), Token);
        var gone = await _blobs.PutAsync("gone"u8.ToArray(), Token);
        var fresh = await _blobs.PutAsync("fresh"u8.ToArray(), Token);
        _blobs.WriteNote(gone.Digest, "note");
        foreach (var blob in new[] { kept, gone })
            File.SetLastWriteTimeUtc(_blobs.GetPath(blob.Digest), DateTime.UtcNow.AddDays(-2));

        var freed = _blobs.RemoveUnreferenced(new HashSet<string> { kept.Digest }, DateTimeOffset.UtcNow.AddDays(-1));
        Assert.Equal(4, freed);
        Assert.Equal(new[] { kept.Digest, fresh.Digest }.Order(), _blobs.Enumerate().Select(blob => blob.Digest).Order());
        Assert.Null(_blobs.ReadNote(gone.Digest));
    }

    [Fact]
    public async Task RemoveUnreferenced_StoredAgainMeanwhile_IsSpared()
    {
        var blob = await _blobs.PutAsync("again"u8.ToArray(), Token);
        File.SetLastWriteTimeUtc(_blobs.GetPath(blob.Digest), DateTime.UtcNow.AddDays(-2));
        await _blobs.PutAsync("again"u8.ToArray(), Token);
        _blobs.RemoveUnreferenced(new HashSet<string>(), DateTimeOffset.UtcNow.AddDays(-1));
        Assert.True(_blobs.Exists(blob.Digest));
    }
}
