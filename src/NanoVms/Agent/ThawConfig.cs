namespace NanoVms.Agent;

/// <summary>
/// What a guest needs to go on after it was frozen: in the same machine, restored from a snapshot, or as one of several clones
/// of it. What is null stays as it was.
/// </summary>
public sealed record ThawConfig
{
    public required DateTimeOffset UtcNow { get; init; }

    /// <summary>16 to 512 bytes that only this guest gets.</summary>
    public required ReadOnlyMemory<byte> RandomSeed { get; init; }

    /// <summary>Replaces address, routes and name server of <c>eth0</c>; connections over the old address do not survive.</summary>
    public GuestNetwork? Network { get; init; }

    /// <summary>Six bytes as <c>02:42:0a:00:00:01</c>; a restored card has the address of the machine that was snapshotted.</summary>
    public string? MacAddress { get; init; }

    /// <summary>1 to 63 of <c>a-z 0-9 -</c>.</summary>
    public string? Hostname { get; init; }

    /// <summary>Replaces the names of <see cref="GuestConfig.Hosts"/>.</summary>
    public IReadOnlyDictionary<string, string>? Hosts { get; init; }

    /// <summary>True for a clone: another <c>/etc/machine-id</c> and another boot id, so that no two guests pass for one.</summary>
    public bool NewIdentity { get; init; }
}
