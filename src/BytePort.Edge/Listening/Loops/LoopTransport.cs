using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace BytePort.Edge.Listening.Loops;

/// <summary>
/// Kestrel's transport for TCP on Linux: one event loop per core. It saves the hand-overs between threads that the general
/// one makes for every request, which cost more than a small file's answer itself.
/// </summary>
internal sealed class LoopTransport : IConnectionListenerFactory, IConnectionListenerFactorySelector, IDisposable
{
    private readonly Lock _lock = new();
    private readonly BlockPool _pool = new();
    private EventLoop[]? _loops;

    public bool CanBind(EndPoint endpoint) => OperatingSystem.IsLinux() && endpoint is IPEndPoint;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        try
        {
            socket.Listen(512);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        lock (_lock)
            _loops ??= [.. Enumerable.Range(0, Environment.ProcessorCount).Select(number => new EventLoop(number))];
        return ValueTask.FromResult<IConnectionListener>(new LoopListener(socket, _loops, _pool));
    }

    public void Dispose()
    {
        foreach (var loop in _loops ?? [])
            loop.Dispose();
        _pool.Dispose();
    }
}
