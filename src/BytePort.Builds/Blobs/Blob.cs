namespace BytePort.Builds.Blobs;

/// <summary>Content by its hash.</summary>
/// <param name="Digest">SHA-256, 64 lower-case hexadecimal digits.</param>
/// <param name="Size">Bytes.</param>
public sealed record Blob(string Digest, long Size);
