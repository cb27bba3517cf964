using Microsoft.Extensions.Logging;

namespace BytePort.Builds.Services;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Packed site {Service} as {Digest}: {Files} files, {NewBlobs} new blobs, {Milliseconds:0} ms")]
    public static partial void PackedSite(ILogger logger, string service, string digest, int files, int newBlobs, double milliseconds);

    [LoggerMessage(2, LogLevel.Information, "Packed app {Service} as {Digest}: {Bytes} bytes, {Milliseconds:0} ms")]
    public static partial void PackedApp(ILogger logger, string service, string digest, long bytes, double milliseconds);
}
