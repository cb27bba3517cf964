using System.Buffers;
using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace BytePort.Builds.Blobs;

/// <summary>
/// Many blobs stored with few syncs: all are written aside, synced together, then named. Adding is thread safe.
/// What is not committed is removed by <see cref="Dispose"/>.
/// </summary>
internal sealed class BlobBatch(BlobStore store) : IDisposable
{
    // From about here one sync of the whole file system costs less than one a file.
    private const int SyncTogether = 8;

    private readonly ConcurrentDictionary<string, string> _aside = new();

    /// <summary>Blobs of this batch that were not in the store before.</summary>
    public int NewBlobs => _aside.Count;

    /// <inheritdoc cref="BlobStore.PutAsync(Stream, long, CancellationToken)"/>
    public async Task<Blob> AddAsync(Stream content, long limit, CancellationToken cancellationToken)
    {
        var aside = store.NewAside();
        var buffer = ArrayPool<byte>.Shared.Rent(128 * 1024);
        try
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            long size = 0;
            await using (var file = Create(aside, useAsync: true))
            {
                int read;
                while ((read = await content.ReadAsync(buffer, cancellationToken)) > 0)
                {
                    size += read;
                    if (size > limit)
                        throw new BlobTooLargeException(limit);
                    hash.AppendData(buffer, 0, read);
                    await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                }
            }

            var blob = new Blob(Convert.ToHexStringLower(hash.GetHashAndReset()), size);
            if (store.Touch(blob.Digest) || !_aside.TryAdd(blob.Digest, aside))
                File.Delete(aside);
            return blob;
        }
        catch
        {
            File.Delete(aside);
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public async Task<Blob> AddAsync(ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var blob = new Blob(Digests.Of(content.Span), content.Length);
        if (store.Touch(blob.Digest) || _aside.ContainsKey(blob.Digest))
            return blob;

        var aside = store.NewAside();
        await using (var file = Create(aside, useAsync: false))
            file.Write(content.Span);
        if (!_aside.TryAdd(blob.Digest, aside))
            File.Delete(aside);
        return blob;
    }

    /// <summary>Gives every added blob its name, durably.</summary>
    public void Commit()
    {
        if (_aside.IsEmpty)
            return;

        var together = _aside.Count >= SyncTogether;
        if (together)
            FileSync.SyncFileSystem(store.Aside);
        var folders = new HashSet<string>();
        foreach (var (digest, aside) in _aside)
        {
            if (!together)
            {
                using var file = new FileStream(aside, FileMode.Open, FileAccess.ReadWrite, FileShare.Read, 0);
                file.Flush(flushToDisk: true);
            }

            var target = store.GetPath(digest);
            File.Move(aside, target, overwrite: true);
            folders.Add(Path.GetDirectoryName(target)!);
        }

        _aside.Clear();
        if (together)
            FileSync.SyncFileSystem(store.Aside);
        else
            foreach (var folder in folders)
                FileSync.SyncDirectory(folder);
    }

    public void Dispose()
    {
        foreach (var aside in _aside.Values)
            File.Delete(aside);
        _aside.Clear();
    }

    private static FileStream Create(string path, bool useAsync) =>
        new(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0, useAsync);
}
