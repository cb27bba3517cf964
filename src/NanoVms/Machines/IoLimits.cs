namespace NanoVms.Machines;

/// <summary>
/// The most that a machine may read and write of the computer's disks in a second, each null for no limit. QEMU keeps them for all that the
/// guest may write, control groups for the rest and for other drivers; they do not count what the computer's cache gives, and those of version 1
/// not what the kernel writes out later by itself.
/// </summary>
/// <param name="ReadBytes">64 KiB or more.</param>
/// <param name="WriteBytes">64 KiB or more.</param>
/// <param name="ReadOperations">10 or more.</param>
/// <param name="WriteOperations">10 or more.</param>
public sealed record IoLimits(long? ReadBytes = null, long? WriteBytes = null, long? ReadOperations = null, long? WriteOperations = null)
{
    private const long LeastBytes = 64 << 10;
    private const long LeastOperations = 10;

    /// <summary>What is wrong, in sentences; empty when nothing is.</summary>
    internal IEnumerable<string> FindErrors()
    {
        foreach (var (name, value, least) in new[]
        {
            (nameof(ReadBytes), ReadBytes, LeastBytes), (nameof(WriteBytes), WriteBytes, LeastBytes),
            (nameof(ReadOperations), ReadOperations, LeastOperations), (nameof(WriteOperations), WriteOperations, LeastOperations),
        })
        {
            if (value < least)
                yield return $"Io.{name} is {value} a second; it must be {least} or more, so that the machine moves at all.";
        }
    }
}
