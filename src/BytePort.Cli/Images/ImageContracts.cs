namespace BytePort.Cli.Images;

internal sealed record Image(
    string Kind, string Reference, string Digest, long Size, DateTimeOffset LastUsed, bool Pinned, bool Private, IReadOnlyList<string> NeededBy);

internal sealed record ImageList(IReadOnlyList<Image> Items, IReadOnlyList<string>? Problems);

internal sealed record ImageProgress(string Text);

/// <summary>What was removed, or would be.</summary>
internal sealed record ImageCollection(IReadOnlyList<CollectedImage> Items, long Bytes, bool DryRun);

internal sealed record CollectedImage(string Kind, string Name, long Bytes);

internal sealed record ImagePins(IReadOnlyList<string> References);

internal sealed record PullRequest(string Reference, string? Username, string? Password, bool Pin)
{
    /// <summary>Without the password.</summary>
    public override string ToString() => Reference;
}

internal sealed record BuildRequest(string Reference, string? Recipe);

internal sealed record PinRequest(string Reference);

internal sealed record CollectRequest(bool DryRun, long? OlderThanSeconds);
