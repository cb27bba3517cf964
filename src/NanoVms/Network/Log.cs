using Microsoft.Extensions.Logging;

namespace NanoVms.Network;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Guests are on {Bridge}, {Prefix}, MTU {Mtu}.")]
    public static partial void NetworkReady(ILogger logger, string bridge, Ipv4Prefix prefix, int mtu);

    [LoggerMessage(2, LogLevel.Warning, "This computer now forwards IPv4 packets (net.ipv4.ip_forward = 1) so that guests reach the internet; the rules of table inet {Table} confine them. It is turned off again when the machines are removed.")]
    public static partial void ForwardingTurnedOn(ILogger logger, string table);

    [LoggerMessage(3, LogLevel.Warning, "{Wanted} is in use on this computer; guests get {Chosen} instead.")]
    public static partial void PrefixTaken(ILogger logger, Ipv4Prefix wanted, Ipv4Prefix chosen);

    [LoggerMessage(4, LogLevel.Information, "The guests' name service runs as process {Process} on {Address}.")]
    public static partial void NameServiceStarted(ILogger logger, int process, System.Net.IPAddress address);

    [LoggerMessage(5, LogLevel.Information, "Adopted the guests' name service, process {Process}.")]
    public static partial void NameServiceAdopted(ILogger logger, int process);

    [LoggerMessage(6, LogLevel.Warning, "The guests' name service ended; it is started again.")]
    public static partial void NameServiceEnded(ILogger logger);

    [LoggerMessage(7, LogLevel.Error, "The guests' name service does not start: {Reason} The next try is in {Delay}.")]
    public static partial void NameServiceFailed(ILogger logger, string reason, TimeSpan delay);

    [LoggerMessage(8, LogLevel.Warning, "A step of removing {Bridge} failed: {Reason}")]
    public static partial void RemovalFailed(ILogger logger, string bridge, string reason);

    [LoggerMessage(9, LogLevel.Warning, "The network's speed is not limited on {Tap}: {Reason}")]
    public static partial void RateNotLimited(ILogger logger, string tap, string reason);

    [LoggerMessage(10, LogLevel.Information, "Machines have networks of their own without root, addresses in {Prefix}, MTU {Mtu}. Limits of their speed are not kept.")]
    public static partial void UserNetworkReady(ILogger logger, Ipv4Prefix prefix, int mtu);

    [LoggerMessage(11, LogLevel.Warning, "Machines can have no network: {Reason}")]
    public static partial void UserNetworkMissing(ILogger logger, string reason);

    [LoggerMessage(12, LogLevel.Warning, "What carries the packets of the machine in {Folder} ended; it is started again.")]
    public static partial void UplinkEnded(ILogger logger, string folder);

    [LoggerMessage(13, LogLevel.Error, "The machine in {Folder} has no network: {Reason} The next try is in {Delay}.")]
    public static partial void UplinkFailed(ILogger logger, string folder, string reason, TimeSpan delay);

    [LoggerMessage(14, LogLevel.Error, "The rules of the machine in {Folder} were not told this computer's new addresses, so that it may reach those: {Reason}")]
    public static partial void AddressesNotTold(ILogger logger, string folder, string reason);
}
