namespace BytePort.Builds.Blobs;

/// <summary>Content-addressed files. Safe for any number of threads and processes at once.</summary>
public sealed class BlobStore(string folder)
{
    public string Folder { get; } = folder;

    /// <summary>Where a blob's file is (or would be): never changed once it exists.</summary>
    /// <exception cref="ArgumentException">Not 64 lower-case hexadecimal digits.</exception>
    public string GetPath(string digest) => throw new NotSupportedException(digest);

    public bool Exists(string digest) => throw new NotSupportedException(digest);

    /// <summary>Stores a stream's content, durably.</summary>
    /// <param name="limit">The most bytes taken.</param>
    /// <exception cref="BlobTooLargeException">The stream holds more than the limit; nothing is kept.</exception>
    public Task<Blob> PutAsync(Stream content, long limit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<Blob> PutAsync(ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>Stores a file by moving it where the file system allows, else by copying; the file is gone afterwards.</summary>
    public Task<Blob> MoveInAsync(string path, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>All blobs, in no order.</summary>
    public IEnumerable<StoredBlob> Enumerate() => throw new NotSupportedException();

    /// <summary>
    /// Removes blobs that are not referenced and were not stored (again) since <paramref name="before"/>: choose it
    /// earlier than the start of the oldest running build. Returns the bytes freed.
    /// </summary>
    public long RemoveUnreferenced(IReadOnlySet<string> referenced, DateTimeOffset before) => throw new NotSupportedException();
}

/// <param name="StoredAt">When it was last stored.</param>
public sealed record StoredBlob(string Digest, long Size, DateTimeOffset StoredAt);
