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

    /// <summary>What the machine's root is made of.</summary>
    public required ImageReference Ref { get; init; }

    /// <summary>Names of the networks that the machine has a card in, in this order; empty for none at all.</summary>
    public IReadOnlyList<string> Interfaces { get; init; } = [DefaultInterface];
}

/// <summary>The outcome of reading a <c>hac.toml</c>: it, or all of its errors.</summary>
/// <param name="File">Null exactly when there are errors.</param>
/// <param name="Errors">Every error found, in the order of the file.</param>
public sealed record HacResult(HacFile? File, IReadOnlyList<ManifestError> Errors);
