using BytePort.Server.Accounts;

namespace BytePort.Server.Grpc;

/// <summary>One call, as its method sees it.</summary>
/// <param name="context">The request beneath it.</param>
/// <param name="caller">Who asks.</param>
/// <param name="deadline">When the caller stops waiting; null for never.</param>
internal sealed class GrpcCall(HttpContext context, Caller caller, DateTimeOffset? deadline)
{
    public Caller Caller { get; } = caller;

    public DateTimeOffset? Deadline { get; } = deadline;

    /// <summary>Values of the caller's metadata under a name that holds text.</summary>
    public IReadOnlyList<string> Text(string name) => GrpcMetadata.Text(context.Request.Headers, name);

    /// <summary>Values of the caller's metadata under a name that ends in <c>-bin</c>.</summary>
    public IReadOnlyList<byte[]> Bytes(string name) => GrpcMetadata.Bytes(context.Request.Headers, name);

    /// <summary>Adds to what is sent before the first message.</summary>
    public void AddHeader(string name, string value) => GrpcMetadata.Add(context.Response.Headers, name, value);

    /// <summary>Adds to what is sent before the first message.</summary>
    public void AddHeader(string name, ReadOnlySpan<byte> value) => GrpcMetadata.Add(context.Response.Headers, name, value);

    /// <summary>Adds to what is sent after the last message.</summary>
    public void AddTrailer(string name, string value)
    {
        var trailer = new HeaderDictionary();
        GrpcMetadata.Add(trailer, name, value);
        context.Response.AppendTrailer(name, trailer[name]);
    }

    /// <summary>Adds to what is sent after the last message.</summary>
    public void AddTrailer(string name, ReadOnlySpan<byte> value)
    {
        var trailer = new HeaderDictionary();
        GrpcMetadata.Add(trailer, name, value);
        context.Response.AppendTrailer(name, trailer[name]);
    }
}
