namespace BytePort.Manifest.Hac;

/// <summary>A machine by itself, as <c>hac.toml</c> describes it.</summary>
public sealed record HacFile
{
    /// <summary>What the file is called where nobody says otherwise.</summary>
    public const string FileName = "hac.toml";

    /// <summary>What <see cref="Kernel"/> says for the platform's own guest kernel.</summary>
    public const string DefaultKernel = "default";

    /// <summary>The network that a machine is in when the file names none.</summary>
    public const string DefaultInterface = "default";

    /// <summary>What <see cref="Driver"/> and <see cref="MachineType"/> say when the platform may choose.</summary>
    public const string Auto = "auto";

    /// <summary>The machine's name: 1 to 60 of <c>a-z 0-9 -</c>.</summary>
    public required string Name { get; init; }

    /// <summary>For people; null when there is none.</summary>
    public string? Description { get; init; }

    /// <summary>Virtual processors, 1 to 64.</summary>
    public uint Cores { get; init; } = 1;

    /// <summary>The guest's memory, 64 MiB to 1 TiB.</summary>
    public int MemoryMiB { get; init; } = 256;

    /// <summary><see cref="DefaultKernel"/>, or the absolute path of a kernel on the computer that runs the machine.</summary>
    public string Kernel { get; init; } = DefaultKernel;

    /// <summary>Size of the writable disk in bytes, 16 MiB to 16 TiB.</summary>
    public long DriveBytes { get; init; } = 10L << 30;

    /// <summary>What the machine's root is made of; null exactly when <see cref="Os"/> says it.</summary>
    public ImageReference? Ref { get; init; }

    /// <summary>An operating system of the catalogue, such as <c>debian-12</c>; null when <see cref="Ref"/> names the root.</summary>
    public string? Os { get; init; }

    /// <summary>What the machine runs on: <c>auto</c> or a driver's name.</summary>
    public string Driver { get; init; } = Auto;

    /// <summary><c>auto</c>, <c>microvm</c> or <c>q35</c>.</summary>
    public string MachineType { get; init; } = Auto;

    /// <summary>True keeps the writable disk when the machine goes; the next machine of the name has it again.</summary>
    public bool IsPersistent { get; init; }

    /// <summary>TCP ports of the host, each with the guest's port that it leads to.</summary>
    public IReadOnlyDictionary<int, int> Ports { get; init; } = new Dictionary<int, int>();

    /// <summary>PCI devices of the computer that the machine gets, by address, such as <c>0000:01:00.0</c>.</summary>
    public IReadOnlyList<string> PciDevices { get; init; } = [];

    /// <summary>Kinds of which it gets all: a name such as <c>vga</c>, a class of two or four hexadecimal digits, or <c>vendor:device</c>.</summary>
    public IReadOnlyList<string> PciKinds { get; init; } = [];

    /// <summary>True gives the guest's processor the means to run machines itself.</summary>
    public bool NestedVirtualization { get; init; }

    /// <summary>The most that it may move in a second.</summary>
    public MachineLimits Limits { get; init; } = new();

    /// <summary>What only a machine template has; the defaults when the table is not there.</summary>
    public HacTemplate Template { get; init; } = new();

    /// <summary>Names of the networks that the machine has a card in, in this order; empty for none at all.</summary>
    public IReadOnlyList<string> Interfaces { get; init; } = [DefaultInterface];

    /// <summary>Those of <see cref="Interfaces"/> that the machine is the router of: the way out for all other machines in them.</summary>
    public IReadOnlyList<string> Routes { get; init; } = [];
}

/// <summary>The table of a machine template, which says how its folders are used.</summary>
public sealed record HacTemplate
{
    /// <summary>Where the guest has the folder <c>data/</c>.</summary>
    public string Data { get; init; } = "/data";

    /// <summary>Permission bits by path below <c>config/</c>, for what is neither 644 nor 755.</summary>
    public IReadOnlyDictionary<string, int> Modes { get; init; } = new Dictionary<string, int>();

    /// <summary>How long each script may take, 1 to 3600 seconds.</summary>
    public int ScriptSeconds { get; init; } = 60;
}

/// <summary>The outcome of reading a <c>hac.toml</c>: it, or all of its errors.</summary>
/// <param name="File">Null exactly when there are errors.</param>
/// <param name="Errors">Every error found, in the order of the file.</param>
public sealed record HacResult(HacFile? File, IReadOnlyList<ManifestError> Errors);
