using System.Net.Sockets;
using NanoVms.Agent;
using NanoVms.Agent.Protocol;

namespace NanoVms.Tests.Agent;

/// <summary>The guest's end of a real socket, in the hands of a test.</summary>
internal sealed class FakeGuest : IAsyncDisposable
{
    private readonly NetworkStream _guest;
    private readonly Task _script;

    private FakeGuest(NetworkStream host, NetworkStream guest, Task script) => (Host, _guest, _script) = (host, guest, script);

    public Stream Host { get; }

    /// <param name="script">Gets the stream and the token of the host's greeting.</param>
    public static FakeGuest Start(Func<Stream, byte[], Task> script)
    {
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        var path = Path.Combine(Path.GetTempPath(), $"fake-{Guid.NewGuid():N}");
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        client.Connect(new UnixDomainSocketEndPoint(path));
        var guest = new NetworkStream(listener.Accept(), ownsSocket: true);
        File.Delete(path);
        return new FakeGuest(new NetworkStream(client, ownsSocket: true), guest, RunAsync(guest, script));
    }

    public static byte[] Ack(byte[] token, ushort version = 2)
    {
        var writer = new WireWriter();
        Messages.WriteHelloAck(writer, token, version, new AgentInfo("9", "9", Guid.Empty, TimeSpan.Zero, false, MainState.NotStarted, null));
        return writer.Written.ToArray();
    }

    /// <summary>Waits for a frame of a type; its payload.</summary>
    public static async Task<byte[]> ReadFrameAsync(Stream stream, FrameType type)
    {
        var reader = new FrameReader();
        var one = new byte[1];
        while (await stream.ReadAsync(one) == 1)
        {
            if (Read(reader, one, type) is { } payload)
                return payload;
        }

        throw new EndOfStreamException();
    }

    public async ValueTask DisposeAsync()
    {
        await _guest.DisposeAsync();
        await Host.DisposeAsync();
        try
        {
            await _script;
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            // The script was still writing to a host that had closed.
        }
    }

    private static async Task RunAsync(NetworkStream stream, Func<Stream, byte[], Task> script)
    {
        await Task.Yield();
        var hello = await ReadFrameAsync(stream, FrameType.Hello);
        await script(stream, hello[..16]);
    }

    private static byte[]? Read(FrameReader reader, byte[] bytes, FrameType type)
    {
        ReadOnlySpan<byte> rest = bytes;
        return reader.TryRead(ref rest, out var frame) && frame.Type == type ? frame.Payload.ToArray() : null;
    }
}
