namespace BytePort.Builds.Sources;

/// <summary>Where source comes from.</summary>
public abstract record SourceSpec;

/// <summary>A Git repository.</summary>
/// <param name="Url">http, https or ssh. A user name and password in it are used, and never logged.</param>
/// <param name="Ref">Branch, tag or commit (at least 7 hexadecimal digits); the default branch when null.</param>
public sealed record GitSource(Uri Url, string? Ref = null) : SourceSpec
{
    /// <summary>Reads a URL as people write it, the form <c>git@host:path</c> included, and checks both.</summary>
    /// <exception cref="SourceException">The URL or the name is not allowed.</exception>
    public static GitSource Parse(string url, string? @ref = null)
    {
        if (@ref is not null)
            GitUrl.CheckRef(@ref);
        return new GitSource(GitUrl.Parse(url), @ref);
    }

    /// <summary>The URL without user name and password: fit for logs and pages.</summary>
    public string DisplayUrl => GitUrl.Redact(Url);

    /// <summary>Never shows credentials, wherever the record ends up in a log.</summary>
    public override string ToString() => Ref is null ? DisplayUrl : $"{DisplayUrl} ({Ref})";
}

/// <summary>A zip or tar.gz file on this host, told apart by its first bytes.</summary>
public sealed record ArchiveSource(string Path) : SourceSpec;
