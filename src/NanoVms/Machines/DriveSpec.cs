namespace NanoVms.Machines;

/// <summary>A raw block device; the guest finds it at <c>/dev/nanovms/NAME</c>.</summary>
/// <param name="Name">1 to 16 of <c>a-z 0-9 -</c>, unique in the machine.</param>
/// <param name="Path">Absolute path of a raw image file on the host.</param>
public sealed record DriveSpec(string Name, string Path, bool ReadOnly);
