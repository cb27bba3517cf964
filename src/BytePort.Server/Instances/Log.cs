namespace BytePort.Server.Instances;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "The supervisor lost the database for a moment")]
    public static partial void SupervisorTrouble(ILogger logger, Exception exception);

    [LoggerMessage(2, LogLevel.Information, "Stopping machine {Machine} ({Name}): nothing wants it")]
    public static partial void StoppingOrphan(ILogger logger, string machine, string name);

    [LoggerMessage(3, LogLevel.Information, "{Project}/{Service}: machine {Machine} at {Address} is healthy")]
    public static partial void Healthy(ILogger logger, string project, string service, string machine, Uri address);

    [LoggerMessage(4, LogLevel.Warning, "{Project}/{Service}: {Reason}; restart {Restarts} in {Delay}")]
    public static partial void Restarting(ILogger logger, string project, string service, string reason, int restarts, TimeSpan delay);

    [LoggerMessage(5, LogLevel.Information, "{Project}/{Service}: adopted machine {Machine}")]
    public static partial void Adopted(ILogger logger, string project, string service, string machine);

    [LoggerMessage(6, LogLevel.Error, "{Project}/{Service}: the instance met an unexpected error")]
    public static partial void Unexpected(ILogger logger, string project, string service, Exception exception);
}
