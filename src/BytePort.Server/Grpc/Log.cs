namespace BytePort.Server.Grpc;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "gRPC listens at {Address}")]
    public static partial void Listening(ILogger logger, string address);

    [LoggerMessage(2, LogLevel.Error, "The gRPC call {Path} failed")]
    public static partial void CallFailed(ILogger logger, string path, Exception exception);
}
