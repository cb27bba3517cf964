namespace NanoVms.Images;

/// <summary>A read-only EROFS image.</summary>
/// <param name="Digest">SHA-256 of the file, lower-case hexadecimal.</param>
/// <param name="Size">Bytes of the file.</param>
public sealed record Layer(string Digest, string Path, long Size);

/// <summary>How a folder becomes a layer.</summary>
public sealed record LayerOptions
{
    /// <summary>Where the folder appears in the guest's root: one name, or empty for the root itself.</summary>
    public string Prefix { get; init; } = "app";

    /// <summary>Owner of everything in it.</summary>
    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public LayerCompression Compression { get; init; } = LayerCompression.None;
}
