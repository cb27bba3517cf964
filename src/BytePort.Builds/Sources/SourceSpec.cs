namespace BytePort.Builds.Sources;

/// <summary>Where source comes from.</summary>
public abstract record SourceSpec;

/// <summary>A Git repository.</summary>
/// <param name="Url">http, https or ssh. A user name and password in it are used, and never logged.</param>
/// <param name="Ref">Branch, tag or commit (at least 7 hexadecimal digits); the default branch when null.</param>
public sealed record GitSource(Uri Url, string? Ref = null) : SourceSpec;

/// <summary>A zip or tar.gz file on this host, told apart by its first bytes.</summary>
public sealed record ArchiveSource(string Path) : SourceSpec;
