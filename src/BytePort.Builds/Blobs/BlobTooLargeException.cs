namespace BytePort.Builds.Blobs;

/// <summary>Content went past the limit of the put; nothing of it is kept.</summary>
public sealed class BlobTooLargeException(long limit) : IOException($"The content is larger than the limit of {limit:N0} bytes.")
{
    public long Limit { get; } = limit;
}
