using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace NanoVms.Images.Oci;

/// <summary>What an image says of its process (OCI image specification 1.0, config.md). Written by strangers.</summary>
public sealed record OciConfig
{
    private const string DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    public IReadOnlyList<string> Entrypoint { get; init => field = value ?? []; } = [];

    public IReadOnlyList<string> Cmd { get; init => field = value ?? []; } = [];

    /// <summary><c>NAME=value</c>.</summary>
    public IReadOnlyList<string> Env { get; init => field = value ?? []; } = [];

    /// <summary><c>user</c>, <c>uid</c>, <c>user:group</c> or <c>uid:gid</c>; empty for root.</summary>
    public string? User { get; init; }

    public string? WorkingDir { get; init; }

    /// <summary><c>8080/tcp</c>; a number alone is TCP.</summary>
    public IReadOnlyDictionary<string, JsonElement>? ExposedPorts { get; init; }

    /// <summary>For example <c>SIGQUIT</c> or <c>3</c>.</summary>
    public string? StopSignal { get; init; }

    /// <summary>The number of <see cref="StopSignal"/>: 15, SIGTERM, where the image names none or none that there is.</summary>
    [JsonIgnore]
    public int StopSignalNumber => StopSignals.Parse(StopSignal) ?? 15;

    /// <summary>The TCP ports, ascending.</summary>
    public IReadOnlyList<int> TcpPorts =>
    [
        .. (ExposedPorts ?? new Dictionary<string, JsonElement>()).Keys
            .Select(port => port.Split('/'))
            .Where(parts => parts.Length == 1 || parts[1] == "tcp")
            .Select(parts => int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536 ? port : 0)
            .Where(port => port > 0)
            .Order(),
    ];

    /// <summary>With a PATH, which every image may leave out.</summary>
    internal IReadOnlyDictionary<string, string> ReadEnvironment()
    {
        var environment = new Dictionary<string, string> { ["PATH"] = DefaultPath };
        foreach (var entry in Env)
        {
            var equals = entry.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0)
                environment[entry[..equals]] = entry[(equals + 1)..];
        }

        return environment;
    }
}
