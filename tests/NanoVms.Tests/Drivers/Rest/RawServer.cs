using System.Net.Sockets;
using NanoVms.Commands;

namespace NanoVms.Tests.Drivers.Rest;

/// <summary>A Unix socket whose other end does what it likes with each connection.</summary>
internal sealed class RawServer : IAsyncDisposable
{
    public const string Name = "raw.sock";
    private readonly CancellationTokenSource _stop = new();
    private readonly Socket _listener;
    private readonly Task _serving;

    public RawServer(Func<NetworkStream, CancellationToken, Task> serve)
    {
        Folder = Directory.CreateTempSubdirectory("nanovms-raw-").FullName;
        using var listening = UnixSockets.Listen(Folder, Name);
        _listener = new Socket(new SafeSocketHandle(listening.DangerousGetHandle(), ownsHandle: true));
        listening.SetHandleAsInvalid();
        _serving = ServeAsync(serve);
    }

    public string Folder { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _serving;
        _stop.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    private async Task ServeAsync(Func<NetworkStream, CancellationToken, Task> serve)
    {
        var connections = new List<Task>();
        try
        {
            while (true)
                connections.Add(ServeOneAsync(new NetworkStream(await _listener.AcceptAsync(_stop.Token), ownsSocket: true), serve));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task ServeOneAsync(NetworkStream stream, Func<NetworkStream, CancellationToken, Task> serve)
    {
        await using (stream)
        {
            try
            {
                await serve(stream, _stop.Token);
            }
            catch (Exception e) when (e is OperationCanceledException or IOException)
            {
                // The client left, or the test is over.
            }
        }
    }
}
