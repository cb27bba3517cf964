using Microsoft.Extensions.Primitives;

namespace BytePort.Edge.StaticFiles;

/// <summary>A file of a site with everything that its answers need, made once so that a request allocates none of it.</summary>
internal sealed class SiteEntry
{
    private static readonly StringValues Forever = "public, max-age=31536000, immutable";
    private static readonly StringValues Revalidate = "public, max-age=0, must-revalidate";

    private readonly Representation[] _encoded;
    private readonly string[] _encodings;

    public SiteEntry(StaticFile file)
    {
        ContentType = file.ContentType;
        CacheControl = file.Immutable ? Forever : Revalidate;
        Identity = new Representation(file.BlobPath, file.Length, file.ETag, null);
        _encodings = [.. file.Encodings.Select(encoding => encoding.Name)];
        _encoded = [.. file.Encodings.Select(encoding => new Representation(encoding.BlobPath, encoding.Length, encoding.ETag, encoding.Name))];
    }

    public StringValues ContentType { get; }

    public StringValues CacheControl { get; }

    public Representation Identity { get; }

    /// <summary>What is sent depends on Accept-Encoding.</summary>
    public bool Varies => _encoded.Length > 0;

    /// <summary>What to send to a client that sent this Accept-Encoding.</summary>
    public Representation Select(StringValues acceptEncoding)
    {
        if (_encoded.Length == 0 || acceptEncoding.Count == 0)
            return Identity;
        var choice = AcceptEncoding.Choose(acceptEncoding.ToString(), _encodings);
        return choice < 0 ? Identity : _encoded[choice];
    }
}

/// <summary>The bytes of a file in one coding.</summary>
internal sealed class Representation(string blobPath, long length, string etag, string? encoding)
{
    public string BlobPath { get; } = blobPath;

    public long Length { get; } = length;

    /// <summary>Strong, with its quotes.</summary>
    public StringValues ETag { get; } = $"\"{etag}\"";

    /// <summary>Content-Encoding; empty for none.</summary>
    public StringValues Encoding { get; } = encoding;

    /// <summary>Where the content was last found in memory, so that a hit needs no look-up.</summary>
    public CachedBlob? Cached { get; set; }
}
