namespace BytePort.Server.Environments;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Error, "An activation met an unexpected error")]
    public static partial void ActivationTrouble(ILogger logger, Exception exception);
}
