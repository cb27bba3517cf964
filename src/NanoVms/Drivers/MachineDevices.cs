namespace NanoVms.Drivers;

/// <summary>Names by which the guest's agent finds the machine's disks: serial numbers, or paths that begin with <c>/dev/</c>.</summary>
/// <param name="Layers">Lowest first.</param>
/// <param name="Disk">The writable layer; null when the guest writes elsewhere.</param>
/// <param name="Drives">By the drive's name.</param>
internal sealed record MachineDevices(IReadOnlyList<string> Layers, string? Disk, IReadOnlyDictionary<string, string> Drives);
