using System.Text.Json.Serialization;
using NanoVms.Commands;
using NanoVms.Machines;

namespace NanoVms.Snapshots;

/// <summary>What a snapshot's folder keeps in <c>snapshot.json</c>, which is written last: without it there is no snapshot. Fields are only ever added.</summary>
internal sealed record SnapshotManifest
{
    public const string FileName = "snapshot.json";
    public const string Disk = "disk";

    /// <summary>How many snapshots may build on each other in a row.</summary>
    public const int MaxDepth = 16;

    public int Version { get; init; } = 1;

    public required DateTimeOffset CreatedAt { get; init; }

    public required MachineSpec Spec { get; init; }

    public required string Driver { get; init; }

    public required bool Accelerated { get; init; }

    public required bool HasMain { get; init; }

    /// <summary>Sums of the pieces of the writable layer; null when the driver has none.</summary>
    public uint[]? DiskSums { get; init; }

    /// <summary>The name of the folder beside this one that it builds on; null for a snapshot that is whole by itself.</summary>
    public string? Parent { get; init; }

    /// <summary>How many snapshots it builds on.</summary>
    public int Depth { get; init; }

    public string? ParentFolder(string folder) =>
        Parent is null ? null : Path.Combine(Path.GetDirectoryName(Path.GetFullPath(folder))!, Path.GetFileName(Parent));

    /// <exception cref="SnapshotException">There is none, or it was made by a later version.</exception>
    public static SnapshotManifest Read(string folder)
    {
        var manifest = SafeFile.ReadJson(Path.Combine(folder, FileName), SnapshotJson.Default.SnapshotManifest)
            ?? throw new SnapshotException($"There is no snapshot in {folder}: {FileName} is missing or cannot be read.");
        return manifest.Version == 1 ? manifest : throw new SnapshotException($"Snapshot {folder} was made by a later version of NanoVMS.");
    }

    public void Write(string folder) => SafeFile.WriteJson(Path.Combine(folder, FileName), this, SnapshotJson.Default.SnapshotManifest);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(SnapshotManifest))]
internal sealed partial class SnapshotJson : JsonSerializerContext;
