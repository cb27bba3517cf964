namespace BytePort.Server.Grpc;

/// <summary>Ends a call with a status. The message is for the caller.</summary>
internal sealed class GrpcException(GrpcStatusCode status, string message, Exception? inner = null) : Exception(message, inner)
{
    public GrpcStatusCode Status { get; } = status;
}
