using System.Text.Json.Serialization;

namespace BytePort.Builds.Services;

/// <summary>What a build leaves: immutable, made of blobs. Serializes to JSON with a <c>kind</c>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(StaticArtifact), "static")]
[JsonDerivedType(typeof(AppArtifact), "app")]
public abstract record Artifact;

/// <summary>Files for the edge.</summary>
/// <param name="TreeDigest">Blob of the <see cref="Sites.StaticTree"/>.</param>
/// <param name="Size">Bytes, uncompressed.</param>
public sealed record StaticArtifact(string TreeDigest, int Files, long Size) : Artifact;

/// <summary>A program for a machine: an EROFS layer with <c>/app</c> on top of a stack's layers.</summary>
/// <param name="LayerDigest">Blob of the layer.</param>
/// <param name="Stack">Exact runtime image, for example <c>node@22.11.0</c>.</param>
/// <param name="StartCommand">Shell command, run in <c>/app</c>.</param>
/// <param name="Size">Bytes of the layer.</param>
public sealed record AppArtifact(string LayerDigest, string Stack, string StartCommand, long Size) : Artifact;
