using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Forwarder;

namespace BytePort.Edge.Proxying;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "Service {Service}: no connection to {Upstream} at {Address}: {Reason}")]
    public static partial void ConnectFailed(ILogger logger, string service, string upstream, string address, string reason);

    [LoggerMessage(2, LogLevel.Warning, "Service {Service}: the request to {Upstream} at {Address} failed ({Error}): {Reason}")]
    public static partial void ForwardFailed(ILogger logger, string service, string upstream, string address, ForwarderError error, string reason);
}
