using System.Collections.Concurrent;
using BytePort.Builds.Blobs;
using BytePort.Builds.Logs;

namespace BytePort.Builds.Sites;

/// <summary>Stores a folder as a static site: every file a blob, compressed forms beside it, the tree over all.</summary>
internal sealed class StaticTreePacker(BlobStore blobs)
{
    // Files up to this size are read whole: hashed, compressed and written from memory.
    private const long InMemory = Compressor.MaxBytes;

    /// <param name="maxFileBytes">The most bytes of one file.</param>
    /// <exception cref="SiteException">The folder holds a link out of it, or no file at all.</exception>
    public async Task<PackedTree> PackAsync(string folder, bool spa, long maxFileBytes, BuildLog log, CancellationToken cancellationToken)
    {
        var found = SiteFiles.Find(folder, log);
        if (found.Count == 0)
            throw new SiteException("There is no file to serve.", isMissing: true);

        using var batch = new BlobBatch(blobs);
        var files = new StaticTreeFile[found.Count];
        var notes = new ConcurrentDictionary<string, string>();
        await Parallel.ForAsync(0, found.Count, cancellationToken, async (i, token) =>
            files[i] = await StoreAsync(found[i], batch, notes, maxFileBytes, token));

        var added = batch.NewBlobs;
        batch.Commit();
        foreach (var (digest, note) in notes)
            blobs.WriteNote(digest, note);

        Array.Sort(files, (a, b) => string.CompareOrdinal(a.Path, b.Path));
        var tree = new StaticTree { Files = files, Spa = spa };
        var blob = await tree.SaveAsync(blobs, cancellationToken);
        return new PackedTree(blob.Digest, tree, added);
    }

    private async Task<StaticTreeFile> StoreAsync(
        SiteFile file, BlobBatch batch, ConcurrentDictionary<string, string> notes, long maxFileBytes, CancellationToken cancellationToken)
    {
        var (type, shrinks) = ContentTypes.Of(file.Path);
        var immutable = HashedNames.IsHashed(file.Path);
        await using var stream = new FileStream(file.FullPath, FileMode.Open, FileAccess.Read, FileShare.Read, 0);
        if (stream.Length > InMemory)
        {
            var large = await batch.AddAsync(stream, maxFileBytes, cancellationToken);
            return new StaticTreeFile(file.Path, large.Digest, large.Size, type, immutable, Encodings.None);
        }

        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        var blob = await batch.AddAsync(content, cancellationToken);
        if (!shrinks || content.Length < Compressor.MinBytes)
            return new StaticTreeFile(file.Path, blob.Digest, blob.Size, type, immutable, Encodings.None);

        var encodings = Encodings.Parse(blobs.ReadNote(blob.Digest), blobs);
        if (encodings is null)
        {
            var made = new SortedDictionary<string, Blob>(StringComparer.Ordinal);
            if (Compressor.Brotli(content) is { } brotli)
                made["br"] = await batch.AddAsync(brotli, cancellationToken);
            if (Compressor.Gzip(content) is { } gzip)
                made["gzip"] = await batch.AddAsync(gzip, cancellationToken);
            encodings = made;
            notes[blob.Digest] = Encodings.Format(made);
        }

        return new StaticTreeFile(file.Path, blob.Digest, blob.Size, type, immutable, encodings);
    }
}

/// <param name="NewBlobs">How many blobs the store did not have before.</param>
internal sealed record PackedTree(string Digest, StaticTree Tree, int NewBlobs)
{
    public long Size => Tree.Files.Sum(file => file.Size);
}
