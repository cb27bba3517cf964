using System.Text.Json.Serialization;
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

    /// <summary>Those of <see cref="Interfaces"/> that it is the router of.</summary>
    // Null in the label of a machine that an earlier version spawned.
    public IReadOnlyList<string> Routes { get; init => field = value ?? []; } = [];

    /// <summary><c>auto</c> or a driver's name.</summary>
    public string Driver { get; init; } = "auto";

    /// <summary>The main process of a stack, or the arguments of an image's entry point; empty for none, or for the image's own.</summary>
    public IReadOnlyList<string> Command { get; init; } = [];

    /// <summary>For the main process and those that are run beside it.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>TCP ports of the host, each with the guest's port that it leads to.</summary>
    public IReadOnlyDictionary<int, int> Ports { get; init; } = new Dictionary<int, int>();

    /// <summary>The team's template that it came from; null for none.</summary>
    public string? Template { get; init; }

    /// <summary>An operating system of the catalogue in place of <see cref="Ref"/>, which is empty then; null for none.</summary>
    public string? Os { get; init; }

    /// <summary><c>auto</c>, <c>microvm</c> or <c>q35</c>.</summary>
    public string MachineType { get; init; } = HacFile.Auto;

    /// <summary>True keeps the writable disk for the next machine of the name.</summary>
    public bool IsPersistent { get; init; }

    /// <summary>True has the guest's kernel tell the console all about its boot.</summary>
    public bool BootMessages { get; init; }

    /// <summary>PCI devices of the computer, by address.</summary>
    public IReadOnlyList<string> PciDevices { get; init; } = [];

    /// <summary>Kinds of PCI devices of which it gets all, see <see cref="HacFile.PciKinds"/>.</summary>
    public IReadOnlyList<string> PciKinds { get; init; } = [];

    /// <summary>True gives the guest's processor the means to run machines itself.</summary>
    public bool NestedVirtualization { get; init; }

    /// <summary>The most that it may move in a second.</summary>
    // Null in the label of a machine that an earlier version spawned.
    public MachineLimits Limits { get; init => field = value ?? new(); } = new();

    /// <summary>The operating system or the image, as people know it.</summary>
    [JsonIgnore]
    public string Image => Os ?? Ref;

    public static MachineRequest From(HacFile file) => new()
    {
        Name = file.Name,
        Description = file.Description,
        Cores = file.Cores,
        MemoryMiB = file.MemoryMiB,
        DriveBytes = file.DriveBytes,
        Ref = file.Ref?.Text ?? "",
        Os = file.Os,
        Kernel = file.Kernel,
        Interfaces = file.Interfaces,
        Routes = file.Routes,
        Driver = file.Driver,
        MachineType = file.MachineType,
        IsPersistent = file.IsPersistent,
        Ports = file.Ports,
        PciDevices = file.PciDevices,
        PciKinds = file.PciKinds,
        NestedVirtualization = file.NestedVirtualization,
        Limits = file.Limits,
    };
}
