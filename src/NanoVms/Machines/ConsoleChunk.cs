namespace NanoVms.Machines;

/// <summary>A piece of what a guest wrote to its console.</summary>
/// <param name="Offset">Of the first byte, counted from the first that was read. What lies between two pieces was not kept.</param>
/// <param name="Data">As the guest wrote it: make it harmless before it is shown on a terminal.</param>
public sealed record ConsoleChunk(long Offset, ReadOnlyMemory<byte> Data)
{
    /// <summary>Where the next piece is to be read from.</summary>
    public long Next => Offset + Data.Length;
}
