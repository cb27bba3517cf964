using System.Collections.Frozen;
using Microsoft.AspNetCore.Http;

namespace BytePort.Edge.StaticFiles;

/// <summary>An immutable tree of files with its index. Build it once per deployment and share it between route tables.</summary>
/// <remarks>
/// Every address that has an answer is in the index, so a request costs one look-up and redirects cannot loop:
/// <list type="number">
/// <item>each file at its own path;</item>
/// <item><c>/a/index.html</c> also at <c>/a/</c>, and <c>/a.html</c> also at <c>/a</c>;</item>
/// <item><c>/a</c> redirects to <c>/a/</c>, and <c>/a/</c> to <c>/a</c>, where only the other one has a file, so that
/// relative links in the page work.</item>
/// </list>
/// </remarks>
public sealed class StaticSite
{
    private const string IndexPage = "/index.html";
    private const string NotFoundPage = "/404.html";
    private const string Html = ".html";

    private readonly FrozenDictionary<string, SiteAnswer>.AlternateLookup<ReadOnlySpan<char>> _index;
    private readonly SiteAnswer _missing;

    /// <exception cref="ArgumentException">A path is empty, holds a <c>.</c> or <c>..</c> segment, or occurs twice.</exception>
    public StaticSite(IEnumerable<StaticFile> files, StaticSiteOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(files);
        options ??= new StaticSiteOptions();
        Options = options;
        LastModified = options.LastModified is { } time ? new DateTimeOffset(time.UtcTicks - (time.UtcTicks % TimeSpan.TicksPerSecond), TimeSpan.Zero) : null;
        LastModifiedText = LastModified?.ToString("r");

        // 1.
        var index = new Dictionary<string, SiteAnswer>(StringComparer.Ordinal);
        foreach (var file in files)
        {
            var path = SitePath.Normalise(file.Path);
            if (!index.TryAdd(path, new SiteAnswer(StatusCodes.Status200OK, new SiteEntry(file), null)))
                throw new ArgumentException($"The file \"{path}\" occurs more than once.", nameof(files));
        }

        // 2.
        FileCount = index.Count;
        var pages = index.Where(item => item.Key.EndsWith(Html, StringComparison.Ordinal)).ToArray();
        foreach (var (path, answer) in pages)
            index.TryAdd(IsIndex(path) ? Folder(path) : path[..^Html.Length], answer);

        // 3.
        foreach (var (path, _) in pages)
        {
            var (from, to) = IsIndex(path) ? (Folder(path)[..^1], Folder(path)) : (path[..^Html.Length] + "/", path[..^Html.Length]);
            index.TryAdd(from, new SiteAnswer(StatusCodes.Status301MovedPermanently, null, new PathString(to).ToUriComponent()));
        }

        _missing = options.Spa && index.TryGetValue(IndexPage, out var shell) ? shell
            : index.TryGetValue(NotFoundPage, out var page) ? page with { Status = StatusCodes.Status404NotFound }
            : new SiteAnswer(StatusCodes.Status404NotFound, null, null);
        _index = index.ToFrozenDictionary(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
    }

    public StaticSiteOptions Options { get; }

    public int FileCount { get; }

    /// <summary>Whole seconds, as HTTP dates are.</summary>
    internal DateTimeOffset? LastModified { get; }

    internal string? LastModifiedText { get; }

    /// <summary>What answers a decoded path below the site's prefix. It is the empty string for the prefix itself.</summary>
    internal SiteAnswer Resolve(ReadOnlySpan<char> path) => _index.TryGetValue(path, out var answer) ? answer : _missing;

    private static bool IsIndex(string path) => path.EndsWith(IndexPage, StringComparison.Ordinal);

    /// <summary><c>/a/index.html</c> → <c>/a/</c>.</summary>
    private static string Folder(string path) => path[..^(IndexPage.Length - 1)];
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

/// <summary>A file with its status, or where to go instead, or (both null) nothing.</summary>
/// <param name="Status">200, 301 or 404.</param>
/// <param name="Entry">The file.</param>
/// <param name="Location">Percent-encoded path below the site's prefix.</param>
internal readonly record struct SiteAnswer(int Status, SiteEntry? Entry, string? Location);
