namespace NanoVms.Images.Oci;

/// <summary>How an image is fetched.</summary>
public sealed record OciPullOptions
{
    /// <summary>For the registry; null for what anybody may fetch.</summary>
    public OciCredentials? Credentials { get; init; }

    /// <summary>Who asks, a team for example: what one has fetched with credentials is not for others. Null for the operator, who may use all.</summary>
    public string? Owner { get; init; }

    /// <summary>Bytes that all layers may have together once they are unpacked.</summary>
    public long MaxBytes { get; init; } = 16L << 30;

    /// <summary>False refuses a registry at a loopback, link-local or private address: for references that strangers write.</summary>
    public bool AllowPrivateAddresses { get; init; } = true;

    /// <summary>True also takes a registry without TLS. One on this computer needs none.</summary>
    public bool AllowInsecure { get; init; }
}

/// <param name="Password">Or a token. Never in a log, an argument or a file that outlives the pull.</param>
public sealed record OciCredentials(string User, string Password)
{
    public override string ToString() => $"{User}, password not shown";
}
