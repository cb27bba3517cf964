using Microsoft.Extensions.Logging;

namespace NanoVms.Drivers.Qemu;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Machines run under KVM, at the hardware's speed.")]
    public static partial void Accelerated(ILogger logger);

    [LoggerMessage(2, LogLevel.Warning, "Machines run by emulation (QEMU TCG), as isolated but slower: {Reason}")]
    public static partial void Emulated(ILogger logger, string reason);
}
