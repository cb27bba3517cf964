namespace BytePort.Edge.StaticFiles;

/// <summary>One file of a static site.</summary>
/// <param name="Path">Path in the site, for example <c>assets/app.3f2a9c1d.js</c>; a leading slash is optional. Not percent-encoded.</param>
/// <param name="BlobPath">Absolute path of the content. It must never change as long as a site refers to it.</param>
/// <param name="Length">Bytes.</param>
/// <param name="ETag">Names the content, without quotes: its SHA-256 in hex.</param>
/// <param name="ContentType">Media type with its charset, ready to send.</param>
/// <param name="Immutable">The name contains a hash of the content, so browsers may keep it for a year.</param>
/// <param name="Encodings">Precompressed variants, the preferred first.</param>
public sealed record StaticFile(
    string Path,
    string BlobPath,
    long Length,
    string ETag,
    string ContentType,
    bool Immutable,
    IReadOnlyList<StaticEncoding> Encodings);

/// <summary>A precompressed variant of a file.</summary>
/// <param name="Name">Content coding as in HTTP: <c>br</c>, <c>gzip</c>, <c>zstd</c>.</param>
/// <param name="BlobPath">Absolute path of the encoded content.</param>
/// <param name="Length">Bytes, encoded.</param>
/// <param name="ETag">Names the encoded content, without quotes; it differs from the file's own.</param>
public sealed record StaticEncoding(string Name, string BlobPath, long Length, string ETag);
