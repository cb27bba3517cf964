using BytePort.Builds.Logs;

namespace BytePort.Builds.Sources;

/// <summary>Brings source into a folder.</summary>
public sealed class SourceFetcher(SourceLimits? limits = null)
{
    public SourceLimits Limits { get; } = limits ?? new SourceLimits();

    /// <summary>Fetches, checks and digests. On failure nothing is left at the destination.</summary>
    /// <param name="destination">Absolute path of a folder that is made; it must not exist or be empty.</param>
    /// <exception cref="SourceException">Refused or unobtainable; see its code.</exception>
    public Task<FetchedSource> FetchAsync(SourceSpec source, string destination, BuildLog log, CancellationToken cancellationToken) =>
        throw new NotSupportedException($"{Limits} {source} {destination} {log} {cancellationToken}");
}
