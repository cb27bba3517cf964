using BytePort.Builds.Blobs;

namespace BytePort.Builds.Sites;

/// <summary>A static site: which path is which blob. Stored as a JSON blob; equal sites have equal digests.</summary>
public sealed record StaticTree
{
    /// <summary>Ordered by path (ordinal).</summary>
    public required IReadOnlyList<StaticTreeFile> Files { get; init; }

    /// <summary>Paths that match no file are answered with index.html.</summary>
    public bool Spa { get; init; }

    /// <exception cref="IOException">The blob is missing or is no tree.</exception>
    public static Task<StaticTree> LoadAsync(BlobStore blobs, string digest, CancellationToken cancellationToken) =>
        throw new NotSupportedException($"{blobs}{digest}{cancellationToken}");
}

/// <param name="Path">Relative, <c>/</c> between names, not encoded: <c>assets/app.js</c>.</param>
/// <param name="Digest">Blob of the content.</param>
/// <param name="Size">Bytes.</param>
/// <param name="ContentType">With charset where it is text.</param>
/// <param name="Immutable">The name carries a hash of the content: it may be cached for ever.</param>
/// <param name="Encodings">By HTTP content coding, <c>br</c> and <c>gzip</c>: only those worth it.</param>
public sealed record StaticTreeFile(
    string Path, string Digest, long Size, string ContentType, bool Immutable, IReadOnlyDictionary<string, Blob> Encodings);
