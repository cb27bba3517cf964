namespace NanoVms.Machines;

/// <summary>How much a guest may put on the host. What goes beyond ends the copy.</summary>
/// <param name="MaxBytes">Of all files together.</param>
/// <param name="MaxEntries">Files, folders and links.</param>
public sealed record CopyLimits(long MaxBytes = 1L << 30, int MaxEntries = 100_000);
