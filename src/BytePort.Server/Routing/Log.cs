namespace BytePort.Server.Routing;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Error, "The files of {Project} (tree {Tree}) are damaged")]
    public static partial void SiteDamaged(ILogger logger, string project, string tree, Exception exception);
}
