namespace NanoVms.Machines;

/// <summary>A piece of a guest process's output.</summary>
/// <param name="Offset">Bytes of output (both streams together) before this piece, since the process started.</param>
/// <param name="IsError">True for standard error.</param>
/// <param name="Data">The bytes as written, not split at lines.</param>
/// <param name="Time">When the guest read them, by the guest's clock.</param>
public sealed record OutputChunk(long Offset, bool IsError, ReadOnlyMemory<byte> Data, DateTimeOffset Time);
