namespace BytePort.Manifest;

/// <summary>A named amount of memory, processor time and disk.</summary>
/// <param name="Name">What the manifest calls it.</param>
/// <param name="MemoryMiB">Memory in MiB.</param>
/// <param name="Cpus">Cores of the host that the machine may use, as a fraction.</param>
/// <param name="DiskBytes">Size of the writable disk in bytes.</param>
public sealed record MachineSize(string Name, int MemoryMiB, double Cpus, long DiskBytes)
{
    private const long GiB = 1L << 30;

    public static MachineSize Tier1 { get; } = new("tier-1", 128, 0.1, 10 * GiB);
    public static MachineSize Tier2 { get; } = new("tier-2", 256, 0.25, 20 * GiB);
    public static MachineSize Tier3 { get; } = new("tier-3", 512, 0.5, 40 * GiB);
    public static MachineSize Tier4 { get; } = new("tier-4", 1024, 1, 80 * GiB);

    /// <summary>Every size, smallest first.</summary>
    public static IReadOnlyList<MachineSize> All { get; } = [Tier1, Tier2, Tier3, Tier4];

    /// <summary>The size of that name, or null.</summary>
    public static MachineSize? Find(string name) => All.FirstOrDefault(size => size.Name == name);
}
