namespace BytePort.Server.Images;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Image {Reference} was {Change} by user {User}")]
    public static partial void Changed(ILogger logger, string reference, string change, Guid user);

    [LoggerMessage(2, LogLevel.Information, "The collection of images removed {Count} items and freed {MiB} MiB")]
    public static partial void Collected(ILogger logger, int count, long mib);

    [LoggerMessage(3, LogLevel.Warning, "The collection of images failed; it is tried again in a day: {Reason}")]
    public static partial void CollectionFailed(ILogger logger, string reason);

    [LoggerMessage(4, LogLevel.Error, "A recipe cannot be used: {Problem}")]
    public static partial void RecipeRefused(ILogger logger, string problem);

    [LoggerMessage(5, LogLevel.Warning, "Artifacts are not collected, because what is needed cannot be read: {Reason}")]
    public static partial void ArtifactsKept(ILogger logger, string reason);
}
