namespace BytePort.Server.Database;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Creating a private PostgreSQL in {Folder}")]
    public static partial void CreatingCluster(ILogger logger, string folder);

    [LoggerMessage(2, LogLevel.Information, "Private PostgreSQL runs from {Folder}")]
    public static partial void Started(ILogger logger, string folder);

    [LoggerMessage(3, LogLevel.Information, "Applied {Count} database migration(s)")]
    public static partial void Migrated(ILogger logger, int count);

    [LoggerMessage(4, LogLevel.Warning, "Lost the notification connection to PostgreSQL ({Reason}); trying again")]
    public static partial void ListenerLost(ILogger logger, string reason);
}
