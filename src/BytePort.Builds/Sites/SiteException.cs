namespace BytePort.Builds.Sites;

/// <summary>A folder cannot be served as a site.</summary>
/// <param name="isMissing">True when there is nothing to serve, false when an entry is refused.</param>
internal sealed class SiteException(string message, bool isMissing) : Exception(message)
{
    public bool IsMissing { get; } = isMissing;
}
