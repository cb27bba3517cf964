using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Pipelines;
using Google.Protobuf;

namespace BytePort.Server.Grpc;

/// <summary>Messages on the wire: a flag for compression, the length in four bytes (big endian), the message.</summary>
internal static class GrpcMessages
{
    /// <summary>The largest request, as it is sent and when it is unpacked: gRPC's usual 4 MiB.</summary>
    public const int MaxReceiveBytes = 4 << 20;

    public const string Accepted = "identity,gzip";

    private const int PrefixLength = 5;

    /// <summary>Reads the one message of a request and makes sure that nothing follows it.</summary>
    /// <param name="body">The request's body.</param>
    /// <param name="parser">Of the message.</param>
    /// <param name="encoding">The header <c>grpc-encoding</c>; empty for none.</param>
    /// <exception cref="GrpcException">It is not exactly one message, too large, or damaged.</exception>
    public static async Task<T> ReadOnlyAsync<T>(PipeReader body, MessageParser<T> parser, string encoding, CancellationToken cancellationToken)
        where T : class, IMessage<T>
    {
        if (encoding is not ("" or "identity" or "gzip"))
            throw new GrpcException(GrpcStatusCode.Unimplemented, $"Messages compressed by '{encoding}' are not read; send them by one of {Accepted}.");
        T? message = null;
        while (true)
        {
            var read = await body.ReadAsync(cancellationToken);
            var rest = read.Buffer;
            while (TryTake(ref rest, out var flag, out var payload))
            {
                if (message is not null)
                    throw new GrpcException(GrpcStatusCode.Unimplemented, "The method takes one message, and more were sent.");
                message = Parse(parser, flag, payload, encoding);
            }

            var isWhole = rest.IsEmpty;
            // What is left has been looked at, so that the caller's flow-control window opens for the rest of the message.
            body.AdvanceTo(rest.Start, rest.End);
            if (!read.IsCompleted)
                continue;
            if (!isWhole)
                throw new GrpcException(GrpcStatusCode.Internal, "The request ended within a message.");
            return message ?? throw new GrpcException(GrpcStatusCode.Unimplemented, "The method takes one message, and none was sent.");
        }
    }

    public static async Task WriteAsync(PipeWriter body, IMessage message, CancellationToken cancellationToken)
    {
        var prefix = body.GetSpan(PrefixLength);
        prefix[0] = 0;
        BinaryPrimitives.WriteInt32BigEndian(prefix[1..], message.CalculateSize());
        body.Advance(PrefixLength);
        message.WriteTo(body);
        _ = await body.FlushAsync(cancellationToken);
    }

    private static bool TryTake(ref ReadOnlySequence<byte> rest, out byte flag, out ReadOnlySequence<byte> payload)
    {
        payload = default;
        flag = 0;
        if (rest.Length < PrefixLength)
            return false;
        Span<byte> prefix = stackalloc byte[PrefixLength];
        rest.Slice(0, PrefixLength).CopyTo(prefix);
        flag = prefix[0];
        var length = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        if (flag > 1)
            throw new GrpcException(GrpcStatusCode.Internal, $"A message begins with the flag {flag}; 0 and 1 are known.");
        if (length > MaxReceiveBytes)
            throw TooLarge($"{length} bytes");
        if (rest.Length < PrefixLength + length)
            return false;
        payload = rest.Slice(PrefixLength, length);
        rest = rest.Slice(PrefixLength + length);
        return true;
    }

    private static T Parse<T>(MessageParser<T> parser, byte flag, ReadOnlySequence<byte> payload, string encoding)
        where T : class, IMessage<T>
    {
        try
        {
            if (flag == 0)
                return parser.ParseFrom(payload);
            if (encoding != "gzip")
                throw new GrpcException(GrpcStatusCode.Internal, "A message is marked as compressed, but grpc-encoding does not say how.");
            return parser.ParseFrom(Unpack(payload));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new GrpcException(GrpcStatusCode.Internal, $"The message is not a {typeof(T).Name}: {e.Message}", e);
        }
        catch (InvalidDataException e)
        {
            throw new GrpcException(GrpcStatusCode.Internal, "The message is not gzip.", e);
        }
    }

    private static ReadOnlySequence<byte> Unpack(ReadOnlySequence<byte> payload)
    {
        using var gzip = new GZipStream(new MemoryStream(payload.ToArray(), writable: false), CompressionMode.Decompress);
        var unpacked = new ArrayBufferWriter<byte>();
        int length;
        while ((length = gzip.Read(unpacked.GetSpan(4096))) > 0)
        {
            unpacked.Advance(length);
            if (unpacked.WrittenCount > MaxReceiveBytes)
                throw TooLarge("more, once it is unpacked");
        }

        return new(unpacked.WrittenMemory);
    }

    private static GrpcException TooLarge(string size) =>
        new(GrpcStatusCode.ResourceExhausted, $"A message may have {MaxReceiveBytes} bytes, and this one has {size}.");
}
