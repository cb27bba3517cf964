using BytePort.Manifest.Hac;
using NanoVms.Machines;
using NanoVms.Network;

namespace BytePort.Server.Machines;

/// <summary>What a machine may move in a second, between the words of requests and those of specifications.</summary>
internal static class SpecLimits
{
    /// <summary>Null for no limit of the network.</summary>
    public static RateLimits? ToRate(this MachineLimits limits) =>
        limits.ReceiveBits is null && limits.SendBits is null ? null : new(limits.ReceiveBits, limits.SendBits);

    /// <summary>Null for no limit of the disks.</summary>
    public static IoLimits? ToIo(this MachineLimits limits) =>
        (limits.ReadBytes ?? limits.WriteBytes ?? limits.ReadOperations ?? limits.WriteOperations) is null
            ? null
            : new(limits.ReadBytes, limits.WriteBytes, limits.ReadOperations, limits.WriteOperations);

    /// <summary>What was asked for and what the platform allows beside it; null, as the host has it, when nothing of it was asked for.</summary>
    public static RateLimits? RateOf(MachineLimits asked, MachineLimits most) => asked.ToRate() is null ? null : asked.Within(most).ToRate();

    /// <summary>The same of the disks.</summary>
    public static IoLimits? IoOf(MachineLimits asked, MachineLimits most) => asked.ToIo() is null ? null : asked.Within(most).ToIo();

    public static MachineLimits Of(MachineSpec spec) => new()
    {
        ReceiveBits = spec.Rate?.Receive,
        SendBits = spec.Rate?.Send,
        ReadBytes = spec.Io?.ReadBytes,
        WriteBytes = spec.Io?.WriteBytes,
        ReadOperations = spec.Io?.ReadOperations,
        WriteOperations = spec.Io?.WriteOperations,
    };
}
