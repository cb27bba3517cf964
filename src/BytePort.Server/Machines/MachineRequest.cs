using BytePort.Manifest.Hac;

namespace BytePort.Server.Machines;

/// <summary>A machine by itself as somebody asked for it, whatever way the question came. Kept with the machine.</summary>
internal sealed record MachineRequest
{
    /// <summary>1 to 60 of <c>a-z 0-9 -</c>.</summary>
    public required string Name { get; init; }

    public string? Description { get; init; }

    /// <summary>Virtual processors.</summary>
    public uint Cores { get; init; } = 1;

    /// <summary>The guest's memory.</summary>
    public long MemoryMiB { get; init; } = 256;

    /// <summary>Size of the writable disk.</summary>
    public long DriveBytes { get; init; } = 10L << 30;

    /// <summary>A stack or an image, see <see cref="ImageReference"/>.</summary>
    public required string Ref { get; init; }

    public string Kernel { get; init; } = HacFile.DefaultKernel;

    public IReadOnlyList<string> Interfaces { get; init; } = [HacFile.DefaultInterface];

    /// <summary><c>auto</c> or a driver's name.</summary>
    public string Driver { get; init; } = "auto";

    /// <summary>The main process of a stack, or the arguments of an image's entry point; empty for none, or for the image's own.</summary>
    public IReadOnlyList<string> Command { get; init; } = [];

    /// <summary>For the main process and those that are run beside it.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>TCP ports of the host, each with the guest's port that it leads to.</summary>
    public IReadOnlyDictionary<int, int> Ports { get; init; } = new Dictionary<int, int>();

    public static MachineRequest From(HacFile file, string driver) => new()
    {
        Name = file.Name,
        Description = file.Description,
        Cores = file.Cores,
        MemoryMiB = file.MemoryMiB,
        DriveBytes = file.DriveBytes,
        Ref = file.Ref.Text,
        Kernel = file.Kernel,
        Interfaces = file.Interfaces,
        Driver = driver,
    };
}
