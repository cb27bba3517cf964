namespace BytePort.Builds.Sources;

/// <summary>Source in a folder, checked: only folders, regular files and links that stay inside.</summary>
/// <param name="Directory">Absolute path.</param>
/// <param name="Digest">SHA-256 (lower-case hexadecimal) of the tree: every path, whether it is executable, link target and content.</param>
/// <param name="Commit">Full commit id, for Git.</param>
/// <param name="CommitMessage">At most 4,000 characters.</param>
/// <param name="Branch">The branch asked for, or the default branch; null for a tag or a commit.</param>
public sealed record FetchedSource(string Directory, string Digest, string? Commit = null, string? CommitMessage = null, string? Branch = null)
{
    public int Files { get; init; }

    /// <summary>Bytes of all files.</summary>
    public long Size { get; init; }
}
