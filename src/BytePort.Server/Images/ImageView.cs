using NanoVms.Images.Collection;

namespace BytePort.Server.Images;

/// <param name="Kind">stack, oci, kernel, initramfs or system.</param>
/// <param name="Size">Bytes; layers that it shares with other images count in each.</param>
/// <param name="Private">It was fetched with credentials, and is for the teams alone that have shown some.</param>
/// <param name="NeededBy">Why it cannot be removed; for administrators.</param>
internal sealed record ImageView(
    string Kind, string Reference, string Digest, long Size, DateTimeOffset LastUsed, bool Pinned, bool Private, IReadOnlyList<string> NeededBy)
{
    public static ImageView Of(StoredImage image, bool isAdministrator) => new(
        image.Kind.ToString().ToLowerInvariant(), image.Reference, image.Digest, image.Size, image.LastUsed, image.Pinned, image.Owners is not null,
        isAdministrator ? image.NeededBy : []);
}

/// <param name="Problems">What is wrong with the operator's recipes, each with file and line; for administrators.</param>
internal sealed record ImageList(IReadOnlyList<ImageView> Items, IReadOnlyList<string> Problems);

internal sealed record CollectedView(string Kind, string Name, long Bytes);

/// <param name="Bytes">Freed, or what would be.</param>
internal sealed record CollectionView(IReadOnlyList<CollectedView> Items, long Bytes, bool DryRun);

internal sealed record PinnedView(IReadOnlyList<string> References);

/// <summary>A line about what a build or a fetch does.</summary>
internal sealed record ProgressView(string Text);
