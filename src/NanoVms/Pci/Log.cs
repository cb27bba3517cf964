using Microsoft.Extensions.Logging;

namespace NanoVms.Pci;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "PCI device {Address} could not be given back to {Driver}: {Reason}")]
    public static partial void NotRestored(ILogger logger, string address, string driver, string reason);
}
