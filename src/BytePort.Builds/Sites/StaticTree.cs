using System.Text.Json;
using System.Text.Json.Serialization;
using BytePort.Builds.Blobs;

namespace BytePort.Builds.Sites;

/// <summary>A static site: which path is which blob. Stored as a JSON blob; equal sites have equal digests.</summary>
public sealed record StaticTree
{
    private const long MaxBytes = 256L * 1024 * 1024;

    /// <summary>Ordered by path (ordinal).</summary>
    public required IReadOnlyList<StaticTreeFile> Files { get; init; }

    /// <summary>Paths that match no file are answered with index.html.</summary>
    public bool Spa { get; init; }

    /// <exception cref="IOException">The blob is missing or is no tree.</exception>
    public static async Task<StaticTree> LoadAsync(BlobStore blobs, string digest, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(blobs);
        await using var content = blobs.Open(digest);
        try
        {
            return await JsonSerializer.DeserializeAsync(content, StaticTreeJson.Default.StaticTree, cancellationToken)
                ?? throw new InvalidDataException($"The blob {digest} is empty where a site's tree was expected.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"The blob {digest} is no site's tree: {e.Message}", e);
        }
    }

    /// <summary>Every blob that must be kept for this tree to be served, its own excepted.</summary>
    public IEnumerable<string> References() =>
        Files.SelectMany(file => file.Encodings.Values.Select(encoding => encoding.Digest).Prepend(file.Digest));

    internal async Task<Blob> SaveAsync(BlobStore blobs, CancellationToken cancellationToken)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(this, StaticTreeJson.Default.StaticTree);
        return json.Length <= MaxBytes
            ? await blobs.PutAsync(json, cancellationToken)
            : throw new BlobTooLargeException(MaxBytes);
    }
}

/// <param name="Path">Relative, <c>/</c> between names, not encoded: <c>assets/app.js</c>.</param>
/// <param name="Digest">Blob of the content.</param>
/// <param name="Size">Bytes.</param>
/// <param name="ContentType">With charset where it is text.</param>
/// <param name="Immutable">The name carries a hash of the content: it may be cached for ever.</param>
/// <param name="Encodings">By HTTP content coding, <c>br</c> and <c>gzip</c>: only those worth it.</param>
public sealed record StaticTreeFile(
    string Path, string Digest, long Size, string ContentType, bool Immutable, IReadOnlyDictionary<string, Blob> Encodings);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(StaticTree))]
internal sealed partial class StaticTreeJson : JsonSerializerContext;
