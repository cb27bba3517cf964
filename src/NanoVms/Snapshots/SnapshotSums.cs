using System.Text.Json.Serialization;
using NanoVms.Commands;

namespace NanoVms.Snapshots;

/// <summary>The sums of a hypervisor's files in a snapshot, by their names: a file of its own, written once they are on the disk.</summary>
internal sealed record SnapshotSums(Dictionary<string, uint[]> Files)
{
    /// <exception cref="SnapshotException">It is missing: the hypervisor's part of the snapshot was never finished.</exception>
    public static SnapshotSums Read(string folder, string fileName) =>
        SafeFile.ReadJson(Path.Combine(folder, fileName), SnapshotSumsJson.Default.SnapshotSums)
        ?? throw new SnapshotException($"Snapshot {folder} is not complete: {fileName} is missing or cannot be read. Take it again.");

    public void Write(string folder, string fileName) =>
        SafeFile.WriteJson(Path.Combine(folder, fileName), this, SnapshotSumsJson.Default.SnapshotSums);

    /// <exception cref="SnapshotException">The file is not what was saved.</exception>
    public void Check(string folder, string name, uint[] found) =>
        SnapshotException.ThrowIfDamaged(folder, name, Files.GetValueOrDefault(name, []), found);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SnapshotSums))]
internal sealed partial class SnapshotSumsJson : JsonSerializerContext;
