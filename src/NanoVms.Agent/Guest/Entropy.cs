using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>The kernel's random generator.</summary>
internal static unsafe class Entropy
{
    private const nuint AddEntropy = 0x40085203;
    private const nuint Reseed = 0x5207;

    /// <summary>Counts the seed as full of entropy and makes the generator take it up at once.</summary>
    public static void Add(ReadOnlySpan<byte> seed)
    {
        const int Header = 8;
        if (seed.Length is < Protocol.Wire.MinSeed or > Protocol.Wire.MaxSeed)
            throw new AgentFailure($"a random seed has {seed.Length} bytes, not {Protocol.Wire.MinSeed} to {Protocol.Wire.MaxSeed}");
        var fd = Files.TryOpen("/dev/random", Libc.O_WRONLY);
        if (fd < 0)
            throw AgentFailure.Of("cannot open /dev/random");
        var request = stackalloc byte[Header + Protocol.Wire.MaxSeed];
        // SAFETY: struct rand_pool_info is two 32-bit words, bits and bytes, and the bytes.
        ((int*)request)[0] = seed.Length * 8;
        ((int*)request)[1] = seed.Length;
        seed.CopyTo(new Span<byte>(request + Header, Protocol.Wire.MaxSeed));
        var added = Libc.IoControl(fd, AddEntropy, request) == 0;
        _ = Libc.IoControl(fd, Reseed, null);
        _ = Libc.Close(fd);
        if (!added)
            throw AgentFailure.Of("cannot seed the random generator");
    }
}
