using System.Text.Json.Serialization;
using NanoVms.Images.Stacks;

namespace NanoVms.Images.Collection;

/// <summary>
/// Somebody who keeps machines, snapshots or references to images beside the store: a platform, for example. What they need is never
/// removed, also while they do not run.
/// </summary>
public sealed record ImageUser
{
    /// <summary>Unique on this computer and lasting: 1 to 64 of <c>a-z 0-9 -</c>.</summary>
    public required string Id { get; init; }

    /// <summary>Holds everything of the user; once it is missing for 30 days the user is taken for gone.</summary>
    public required string Folder { get; init; }

    /// <summary>Folders of machine hosts: their machines' state files are read at every collection.</summary>
    public IReadOnlyList<string> MachineFolders { get; init; } = [];

    /// <summary>Folders that hold snapshots, themselves or in folders of theirs; read likewise.</summary>
    public IReadOnlyList<string> SnapshotFolders { get; init; } = [];

    public IReadOnlyList<ImageNeed> Needs { get; init; } = [];
}

/// <summary>An image or a file that somebody needs.</summary>
/// <param name="By">For people: <c>deployment 7 of shop</c>.</param>
/// <param name="Reference">A stack such as <c>node@22.11.0+0123456789abcdef</c>, or an image as the store lists it; null when files say it.</param>
/// <param name="Files">Absolute paths.</param>
public sealed record ImageNeed(string By, string? Reference, IReadOnlyList<string> Files);

/// <summary>What the store keeps of a user.</summary>
internal sealed record ImageUserRecord
{
    public int Version { get; init; } = 1;

    public required ImageUser User { get; init; }

    /// <summary>When the user last said so, or its folder was last seen.</summary>
    public required DateTimeOffset SeenAt { get; init; }

    /// <summary>What its machines and snapshots needed then: all that is known while its folder is away.</summary>
    public IReadOnlyList<ImageNeed> Found { get; init; } = [];
}

/// <summary>References that are kept, whoever needs them.</summary>
internal sealed record ImagePins
{
    public int Version { get; init; } = 1;

    public IReadOnlyList<string> References { get; init; } = [];
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(ImageUserRecord))]
[JsonSerializable(typeof(ImagePins))]
[JsonSerializable(typeof(StackRecord))]
internal sealed partial class CollectionJson : JsonSerializerContext;
