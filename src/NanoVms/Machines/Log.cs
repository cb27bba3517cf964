using Microsoft.Extensions.Logging;

namespace NanoVms.Machines;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Machine {Machine} ({Name}) runs: process {Process}, address {Address}, agent ready after {AgentReady}.")]
    public static partial void Started(ILogger logger, string machine, string name, int process, string address, TimeSpan agentReady);

    [LoggerMessage(2, LogLevel.Information, "Machine {Machine} ({Name}) was adopted, state {State}.")]
    public static partial void Adopted(ILogger logger, string machine, string name, MachineState state);

    [LoggerMessage(3, LogLevel.Warning, "Machine {Machine} ({Name}) ended: {Reason}")]
    public static partial void Ended(ILogger logger, string machine, string name, string reason);

    [LoggerMessage(4, LogLevel.Information, "Machine {Machine} ({Name}) was removed.")]
    public static partial void Removed(ILogger logger, string machine, string name);

    [LoggerMessage(5, LogLevel.Warning, "Removed what an earlier crash left of machine {Machine}.")]
    public static partial void OrphanRemoved(ILogger logger, string machine);

    [LoggerMessage(6, LogLevel.Debug, "Machine {Machine}: its agent's connection was lost; connecting again.")]
    public static partial void AgentLost(ILogger logger, string machine);

    [LoggerMessage(7, LogLevel.Debug, "Machine {Machine}: its agent cannot be reached yet: {Reason}")]
    public static partial void AgentUnreachable(ILogger logger, string machine, string reason);

    [LoggerMessage(8, LogLevel.Warning, "Machine {Machine}: step '{Step}' of its removal failed and is tried again at the next start: {Reason}")]
    public static partial void RemovalFailed(ILogger logger, string machine, string step, string reason);

    [LoggerMessage(9, LogLevel.Warning, "Machine {Machine}: it may have ended without a shutdown of its file systems: {Reason}")]
    public static partial void ShutdownFailed(ILogger logger, string machine, string reason);

    [LoggerMessage(10, LogLevel.Debug, "Machine {Machine} keeps the memory of its start: {Reason}")]
    public static partial void MemoryKept(ILogger logger, string machine, string reason);

    [LoggerMessage(12, LogLevel.Warning, "Machine {Machine}: its state file could not be written: {Reason}")]
    public static partial void StateNotWritten(ILogger logger, string machine, string reason);

    [LoggerMessage(13, LogLevel.Warning, "Machine {Machine} was being saved when its host ended, and may be still for a minute: {Reason}")]
    public static partial void NotThawed(ILogger logger, string machine, string reason);

    [LoggerMessage(14, LogLevel.Information, "Machine {Machine} ({Name}) sleeps.")]
    public static partial void Suspended(ILogger logger, string machine, string name);

    [LoggerMessage(15, LogLevel.Information, "Machine {Machine} ({Name}) is awake, agent ready after {AgentReady}.")]
    public static partial void Woken(ILogger logger, string machine, string name, TimeSpan agentReady);

    [LoggerMessage(16, LogLevel.Warning, "Machine {Machine} ({Name}) is booted with its disk instead of woken: {Reason}")]
    public static partial void BootedInstead(ILogger logger, string machine, string name, string reason);

    [LoggerMessage(11, LogLevel.Debug, "Machine {Machine} was not told the names of its group: {Reason} The next try is in {Delay}.")]
    public static partial void NamesNotTold(ILogger logger, string machine, string reason, TimeSpan delay);
}
