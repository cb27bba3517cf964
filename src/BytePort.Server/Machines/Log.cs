namespace BytePort.Server.Machines;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Machine {Machine} ({Name}) was spawned for team {Team}")]
    public static partial void Spawned(ILogger logger, string machine, string name, Guid team);

    [LoggerMessage(2, LogLevel.Information, "Machine {Machine} ({Name}) was stopped for team {Team}")]
    public static partial void Stopped(ILogger logger, string machine, string name, Guid team);

    [LoggerMessage(3, LogLevel.Warning, "The output of machine {Machine} is no longer read")]
    public static partial void OutputLost(ILogger logger, string machine, Exception exception);

    [LoggerMessage(4, LogLevel.Warning, "In machine {Machine} the script {Script} failed: {Reason}")]
    public static partial void ScriptFailed(ILogger logger, string machine, string script, string reason);
}
