using System.Text.Json;
using System.Text.Json.Serialization;

namespace NanoVms.Images.Oci;

/// <summary>A manifest or an index (OCI image specification 1.0, manifest.md and image-index.md).</summary>
internal sealed record OciManifest
{
    public IReadOnlyList<OciDescriptor> Manifests { get; init => field = value ?? []; } = [];

    public OciDescriptor? Config { get; init; }

    public IReadOnlyList<OciDescriptor> Layers { get; init => field = value ?? []; } = [];
}

internal sealed record OciDescriptor
{
    public string MediaType { get; init => field = value ?? ""; } = "";

    public string Digest { get; init => field = value ?? ""; } = "";

    public long Size { get; init; }

    public OciPlatform? Platform { get; init; }
}

internal sealed record OciPlatform
{
    public string Architecture { get; init => field = value ?? ""; } = "";

    public string Os { get; init => field = value ?? ""; } = "";
}

internal sealed record OciConfigFile
{
    public OciConfig? Config { get; init; }

    public OciRootFileSystem? Rootfs { get; init; }
}

internal sealed record OciRootFileSystem
{
    [JsonPropertyName("diff_ids")]
    public IReadOnlyList<string> DiffIds { get; init => field = value ?? []; } = [];
}

/// <summary>What the store keeps of a pulled image.</summary>
internal sealed record OciRecord
{
    public int Version { get; init; } = 1;

    public required string Reference { get; init; }

    /// <summary>As the registry gives it for the reference: of an index, where there is one.</summary>
    public required string RemoteDigest { get; init; }

    public required string Digest { get; init; }

    /// <summary>Names of files in the store's folder of layers, lowest first.</summary>
    public required IReadOnlyList<string> Layers { get; init; }

    public required OciConfig Config { get; init; }

    /// <summary>Who has shown the registry credentials for it; null when anybody may fetch it.</summary>
    public IReadOnlyList<string>? Owners { get; init; }

    public DateTimeOffset MadeAt { get; init; }

    /// <summary>True for one that the asker may use without asking the registry.</summary>
    public bool IsFor(string? owner) => Owners is null || owner is null || Owners.Contains(owner);
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(OciManifest))]
[JsonSerializable(typeof(OciConfigFile))]
[JsonSerializable(typeof(OciRecord))]
[JsonSerializable(typeof(Dictionary<string, Dictionary<string, Dictionary<string, string>>>))]
internal sealed partial class OciJson : JsonSerializerContext;
