namespace NanoVms.Systems;

/// <summary>An operating system of the catalogue: exactly one of the three ways to get it.</summary>
internal sealed record SystemEntry
{
    public string Name { get; init; } = "";

    /// <summary>For people.</summary>
    public string Title { get; init; } = "";

    public AptSource? Apt { get; init; }

    public ArchiveSource? Archive { get; init; }

    public RegistrySource? Registry { get; init; }

    /// <summary>How what is fetched is verified: one sentence.</summary>
    public string Verification => this switch
    {
        { Apt: { } apt } => $"packages signed by the archive, {apt.Keyring}",
        { Archive: { } archive } => $"sha256:{archive.Sha256}",
        { Registry.Image: var image } when image.Contains("@sha256:", StringComparison.Ordinal) => "the image's digest",
        _ => "the registry's word for the tag",
    };

    public string Location => this switch
    {
        { Apt: { } apt } => $"{apt.Mirror} {apt.Suite}",
        { Archive: { } archive } => archive.Url,
        _ => Registry?.Image ?? "",
    };
}

/// <summary>Packages of a distribution, by mmdebstrap.</summary>
internal sealed record AptSource
{
    public string Suite { get; init; } = "";

    public string Mirror { get; init; } = "";

    /// <summary>Where <c>SUITE-security</c> is; null for none.</summary>
    public string? Security { get; init; }

    public string Components { get; init; } = "main";

    /// <summary>The keys that its signature is checked against.</summary>
    public string Keyring { get; init; } = "";

    /// <summary>The package of this computer's distribution that brings them.</summary>
    public string KeyringPackage { get; init; } = "";
}

/// <summary>A root file system as tar, plain or by gzip, zstd or xz.</summary>
internal sealed record ArchiveSource
{
    public string Url { get; init; } = "";

    /// <summary>Of the file as it is fetched, 64 hexadecimal digits.</summary>
    public string Sha256 { get; init; } = "";
}

/// <summary>An image of a registry.</summary>
internal sealed record RegistrySource
{
    public string Image { get; init; } = "";
}
