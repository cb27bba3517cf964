namespace BytePort.Server.Deployments;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "{Project} #{Number}: began")]
    public static partial void Began(ILogger logger, string project, int number);

    [LoggerMessage(2, LogLevel.Information, "{Project} #{Number}: live")]
    public static partial void Live(ILogger logger, string project, int number);

    [LoggerMessage(3, LogLevel.Information, "{Project} #{Number}: failed ({Code})")]
    public static partial void Failed(ILogger logger, string project, int number, string code);

    [LoggerMessage(4, LogLevel.Error, "{Project} #{Number}: unexpected error")]
    public static partial void Unexpected(ILogger logger, string project, int number, Exception exception);

    [LoggerMessage(5, LogLevel.Warning, "A deployment worker lost the database for a moment")]
    public static partial void WorkerTrouble(ILogger logger, Exception exception);
}
