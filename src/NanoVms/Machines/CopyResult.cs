namespace NanoVms.Machines;

/// <summary>What a copy out of a guest left on the host.</summary>
/// <param name="Entries">Files, folders and links that were made.</param>
/// <param name="Bytes">Of the files.</param>
/// <param name="Skipped">
/// Links that lead out of the copy or cannot be told to stay in it, hard links and devices: the first hundred. Written by the guest:
/// show it, do not trust it.
/// </param>
public sealed record CopyResult(int Entries, long Bytes, IReadOnlyList<string> Skipped);
