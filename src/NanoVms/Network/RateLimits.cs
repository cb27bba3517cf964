namespace NanoVms.Network;

/// <summary>The most that a machine may receive and send on each of its networks, each null for no limit.</summary>
/// <param name="Receive">Bits in a second, 64,000 to 100,000,000,000.</param>
/// <param name="Send">Bits in a second, as before.</param>
public sealed record RateLimits(long? Receive, long? Send)
{
    private const long Least = 64_000;
    private const long Most = 100_000_000_000;

    /// <summary>What is wrong, in sentences; empty when nothing is.</summary>
    internal IEnumerable<string> FindErrors()
    {
        foreach (var (name, value) in new[] { (nameof(Receive), Receive), (nameof(Send), Send) })
        {
            if (value is < Least or > Most)
                yield return $"Rate.{name} is {value} bits a second; it must be {Least} to {Most}.";
        }
    }
}
