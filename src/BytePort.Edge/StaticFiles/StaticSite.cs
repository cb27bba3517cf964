namespace BytePort.Edge.StaticFiles;

/// <summary>An immutable tree of files with its index. Build it once per deployment and share it between route tables.</summary>
public sealed class StaticSite
{
    /// <exception cref="ArgumentException">A path is empty, holds a <c>.</c> or <c>..</c> segment, or occurs twice.</exception>
    public StaticSite(IEnumerable<StaticFile> files, StaticSiteOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(files);
        Options = options ?? new StaticSiteOptions();
        Files = [.. files];
    }

    public IReadOnlyList<StaticFile> Files { get; }

    public StaticSiteOptions Options { get; }
}

/// <summary>How a static site answers.</summary>
public sealed record StaticSiteOptions
{
    /// <summary>Paths without a file are answered with <c>/index.html</c> and 200 (single-page app).</summary>
    public bool Spa { get; init; }

    /// <summary>
    /// When this tree became what its hosts serve; sent as Last-Modified. Not when its files were written: a rollback has
    /// to move it forward, else If-Modified-Since would confirm the newer content. Null sends none.
    /// </summary>
    public DateTimeOffset? LastModified { get; init; }
}
