using Google.Protobuf;

namespace BytePort.Server.Grpc;

/// <summary>A service by its full name, such as <c>package.Service</c>, with its methods.</summary>
internal sealed record GrpcService(string Name, IReadOnlyList<GrpcMethod> Methods);

/// <summary>A method: reads its request, answers with one message or a stream of them. What it throws becomes the call's status.</summary>
/// <param name="Name">As the .proto writes it.</param>
/// <param name="AnswerAsync">Reads the request's body and writes the response's.</param>
internal sealed record GrpcMethod(string Name, Func<HttpContext, GrpcCall, CancellationToken, Task> AnswerAsync)
{
    public static GrpcMethod Unary<TRequest, TResponse>(
        string name, MessageParser<TRequest> parser, Func<TRequest, GrpcCall, CancellationToken, Task<TResponse>> handle)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse> =>
        new(name, async (context, call, cancellationToken) =>
        {
            var response = await handle(await ReadAsync(context, parser, cancellationToken), call, cancellationToken);
            await GrpcMessages.WriteAsync(context.Response.BodyWriter, response, cancellationToken);
        });

    /// <summary>Each message is sent as soon as it is there; a caller that does not read delays the method.</summary>
    public static GrpcMethod ServerStreaming<TRequest, TResponse>(
        string name, MessageParser<TRequest> parser, Func<TRequest, GrpcCall, CancellationToken, IAsyncEnumerable<TResponse>> handle)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse> =>
        new(name, async (context, call, cancellationToken) =>
        {
            var request = await ReadAsync(context, parser, cancellationToken);
            await foreach (var response in handle(request, call, cancellationToken).WithCancellation(cancellationToken))
                await GrpcMessages.WriteAsync(context.Response.BodyWriter, response, cancellationToken);
        });

    private static Task<TRequest> ReadAsync<TRequest>(HttpContext context, MessageParser<TRequest> parser, CancellationToken cancellationToken)
        where TRequest : class, IMessage<TRequest> =>
        GrpcMessages.ReadOnlyAsync(context.Request.BodyReader, parser, context.Request.Headers["grpc-encoding"].ToString(), cancellationToken);
}
