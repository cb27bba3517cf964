using System.Text.Json;
using System.Text.Json.Serialization;
using BytePort.Cli.Machines;
using BytePort.Manifest;

namespace BytePort.Cli.Manifests;

/// <summary>Serialization of what the manifest commands print.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, Converters = [typeof(KindConverter)], DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ProjectManifest))]
[JsonSerializable(typeof(IReadOnlyList<ManifestError>))]
[JsonSerializable(typeof(NewMachine))]
internal sealed partial class ManifestJson : JsonSerializerContext;

/// <summary>Kinds as the manifest writes them.</summary>
internal sealed class KindConverter() : JsonStringEnumConverter<ServiceKind>(JsonNamingPolicy.CamelCase);
