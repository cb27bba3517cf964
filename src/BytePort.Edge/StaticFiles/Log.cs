using Microsoft.Extensions.Logging;

namespace BytePort.Edge.StaticFiles;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Error, "The content of a static file cannot be read: {Path}")]
    public static partial void ContentUnreadable(ILogger logger, string path, Exception exception);
}
