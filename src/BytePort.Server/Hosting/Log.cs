namespace BytePort.Server.Hosting;

internal static partial class Log
{
    [LoggerMessage(2, LogLevel.Information, "BytePort is ready at {Url} (data in {Folder})")]
    public static partial void Ready(ILogger logger, Uri url, string folder);

    [LoggerMessage(3, LogLevel.Information, "{Step}")]
    public static partial void Starting(ILogger logger, string step);

    [LoggerMessage(4, LogLevel.Error, "Unexpected error in {Method} {Path}")]
    public static partial void RequestFailed(ILogger logger, string method, string path, Exception exception);
}
