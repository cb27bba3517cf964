using System.Text.Json.Serialization;
using NanoVms.Commands;

namespace NanoVms.Network;

/// <summary>What a host keeps of its network, in <c>network.json</c>. Fields are only ever added.</summary>
/// <param name="Forwarding">Whether the computer forwarded packets before this host turned it on.</param>
/// <param name="NameServer">The running name service, to be adopted after a restart.</param>
/// <param name="NameServerArguments">What it was started with; when that changes it is started again.</param>
internal sealed record NetworkRecord(
    string Bridge, string Prefix, bool Forwarding, ProcessIdentity? NameServer, string NameServerArguments)
{
    /// <summary>Of which every private network has a part; null in the file of an earlier version.</summary>
    public string? PrivatePrefix { get; init; }

    public IReadOnlyList<PrivateNetwork> Networks { get; init => field = value ?? []; } = [];
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(NetworkRecord))]
internal sealed partial class NetworkJson : JsonSerializerContext;
