namespace BytePort.Manifest.Hac;

/// <summary>The most that a machine may move in a second, each null for as much as the platform allows.</summary>
public sealed record MachineLimits
{
    /// <summary>Bits received on each of its networks, 64,000 to 100,000,000,000.</summary>
    public long? ReceiveBits { get; init; }

    /// <summary>Bits sent on each of its networks, as before.</summary>
    public long? SendBits { get; init; }

    /// <summary>Bytes read of the computer's disks, 64 KiB to 1 TiB.</summary>
    public long? ReadBytes { get; init; }

    /// <summary>Bytes written to the computer's disks, as before.</summary>
    public long? WriteBytes { get; init; }

    /// <summary>Reads of the computer's disks, 10 to 10,000,000.</summary>
    public long? ReadOperations { get; init; }

    /// <summary>Writes to the computer's disks, as before.</summary>
    public long? WriteOperations { get; init; }

    /// <summary>True when something is limited here.</summary>
    public bool HasAny() => this != new MachineLimits();

    /// <summary>These, and where they say nothing those of another.</summary>
    public MachineLimits Or(MachineLimits other) => MachineLimit.All.Aggregate(this, (limits, limit) => limit.Set(limits, limit.Get(this) ?? limit.Get(other)));

    /// <summary>These, and nowhere more than another allows.</summary>
    public MachineLimits Within(MachineLimits most) => MachineLimit.All.Aggregate(
        this, (limits, limit) => limit.Set(limits, limit.Get(this) is { } value && limit.Get(most) is { } ceiling ? Math.Min(value, ceiling) : limit.Get(this) ?? limit.Get(most)));
}
