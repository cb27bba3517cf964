namespace NanoVms.Images.Collection;

/// <summary>What a store holds.</summary>
public enum ImageKind
{
    Stack = 1,

    /// <summary>Of a registry.</summary>
    Oci,

    Kernel,

    Initramfs,

    /// <summary>An operating system of the catalogue.</summary>
    System,
}

/// <summary>An image of a store.</summary>
/// <param name="Reference">What it is asked for by: <c>node@22.11.0</c>, <c>docker.io/library/alpine:3.20</c>, a kernel's release.</param>
/// <param name="Digest">Of a stack 16 digits that follow from its recipes, of an image of a registry its manifest's; empty for a kernel.</param>
/// <param name="Size">Bytes of its files; those that it shares with others count in each.</param>
/// <param name="LastUsed">When it was last made, fetched or started from.</param>
/// <param name="NeededBy">Who keeps it from being removed, for people.</param>
/// <param name="Owners">Who may use an image that was fetched with credentials; null when everybody may.</param>
public sealed record StoredImage(
    ImageKind Kind,
    string Reference,
    string Digest,
    long Size,
    DateTimeOffset LastUsed,
    bool Pinned,
    IReadOnlyList<string> NeededBy,
    IReadOnlyList<string>? Owners);

/// <summary>Something that a collection removed, or would remove.</summary>
/// <param name="Kind"><c>stack</c>, <c>oci</c>, <c>layer</c>, <c>kernel</c>, <c>initramfs</c>, <c>system</c> or <c>unfinished</c>. Words are only ever added.</param>
/// <param name="Bytes">On the disk; those of a stack or an image are in its layers.</param>
public sealed record CollectedItem(string Kind, string Name, long Bytes);

/// <param name="Bytes">Freed in all.</param>
public sealed record CollectionResult(IReadOnlyList<CollectedItem> Items, long Bytes);

/// <summary>What to collect.</summary>
public sealed record CollectionOptions
{
    /// <summary>The shortest that may be asked for: what was used a moment ago is about to be needed.</summary>
    public static readonly TimeSpan LeastAge = TimeSpan.FromMinutes(10);

    /// <summary>How long something must not have been made, fetched or used; at least <see cref="LeastAge"/>.</summary>
    public TimeSpan OlderThan { get; init; } = TimeSpan.FromDays(1);

    /// <summary>True finds what would be removed and removes nothing.</summary>
    public bool DryRun { get; init; }
}
