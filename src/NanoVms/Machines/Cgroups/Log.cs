using Microsoft.Extensions.Logging;

namespace NanoVms.Machines.Cgroups;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "Machine {Machine}: control group step '{Step}' failed, its limit is not enforced: {Reason}")]
    public static partial void CgroupFailed(ILogger logger, string machine, string step, string reason);

    [LoggerMessage(2, LogLevel.Warning, "This computer has no control group for {Controllers}, or none that this user may write: those limits are not enforced.")]
    public static partial void ControllersMissing(ILogger logger, string controllers);

    [LoggerMessage(3, LogLevel.Warning, "Machine {Machine}: a file of it lies on no disk that can be limited (as on btrfs, overlay or over a network), so its limit of reading and writing is not enforced there.")]
    public static partial void DiskUnknown(ILogger logger, string machine);
}
