namespace BytePort.Server.Images;

/// <param name="Reference">For example alpine:3.20 or ghcr.io/owner/app@sha256:….</param>
/// <param name="Username">For the registry; used for this fetch alone and kept nowhere.</param>
/// <param name="Password">Or a token.</param>
/// <param name="Pin">Keep it until it is unpinned; for administrators.</param>
internal sealed record PullImage(string? Reference, string? Username, string? Password, bool? Pin)
{
    /// <summary>Without the password, so that nothing can log it by accident.</summary>
    public override string ToString() => $"{Reference} for {Username ?? "anybody"}";
}

/// <param name="Reference">A stack that there is a recipe for, such as node@22; or the name of the recipe.</param>
/// <param name="Recipe">A recipe as YAML, which is kept in the data folder once the stack is made; null for one that is there.</param>
internal sealed record BuildImage(string? Reference, string? Recipe);

internal sealed record PinImage(string? Reference);

/// <param name="DryRun">Say what would go, and remove nothing.</param>
/// <param name="OlderThanSeconds">How long something must not have been used; by default a day, at least 10 minutes.</param>
internal sealed record CollectImages(bool? DryRun, long? OlderThanSeconds);
