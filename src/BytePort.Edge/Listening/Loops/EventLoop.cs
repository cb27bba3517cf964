using System.Collections.Concurrent;
using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace BytePort.Edge.Listening.Loops;

/// <summary>
/// One thread that waits for many sockets (epoll, edge-triggered) and runs what a ready socket makes possible right there.
/// A request that needs no waiting is read, answered and sent without any other thread.
/// </summary>
internal sealed class EventLoop : IDisposable
{
    private const int MaxEvents = 256;

    /// <summary>How often a stopped loop with nothing to do looks whether it was stopped.</summary>
    private const int LookMilliseconds = 1000;

    /// <summary>struct epoll_event is packed on x86-64 only (epoll_ctl(2)): 4 bytes of events, then 8 of our data.</summary>
    private static readonly bool Packed = RuntimeInformation.ProcessArchitecture == Architecture.X64;
    private static readonly int EventBytes = Packed ? 12 : 16;
    private static readonly int DataOffset = Packed ? 4 : 8;

    private readonly SafeFileHandle _epoll;
    private readonly ConcurrentDictionary<int, LoopConnection> _connections = new();
    private readonly byte[] _events = new byte[EventBytes * MaxEvents];
    private readonly Thread _thread;
    private volatile bool _stopped;

    public EventLoop(int number)
    {
        var descriptor = Native.CreateEpoll(Native.EpollCloseOnExec);
        if (descriptor < 0)
            throw new Win32Exception(Marshal.GetLastPInvokeError(), "The edge cannot watch sockets (epoll_create1).");
        _epoll = new SafeFileHandle(descriptor, ownsHandle: true);
        _thread = new Thread(Run) { IsBackground = true, Name = $"edge loop {number}" };
        _thread.Start();
    }

    /// <summary>Ends the thread. All connections have ended before.</summary>
    public void Dispose() => _stopped = true;

    /// <summary>From here on the connection is told when its socket is ready.</summary>
    public void Add(LoopConnection connection)
    {
        var socket = connection.Socket.SafeHandle;
        var number = (int)socket.DangerousGetHandle();
        _connections[number] = connection;
        var registration = new byte[EventBytes];
        MemoryMarshal.Write(registration, Native.Readable | Native.Writable | Native.PeerClosed | Native.EdgeTriggered);
        MemoryMarshal.Write(registration.AsSpan(DataOffset), (long)number);
        if (Native.ControlEpoll(_epoll, Native.EpollAdd, socket, ref registration[0]) == 0)
            return;
        var error = Marshal.GetLastPInvokeError();
        Remove(connection);
        throw new Win32Exception(error, "The edge cannot watch a connection (epoll_ctl).");
    }

    /// <summary>Before the socket is closed, because then its number may be given to another.</summary>
    public void Remove(LoopConnection connection) =>
        _connections.TryRemove(new KeyValuePair<int, LoopConnection>((int)connection.Socket.SafeHandle.DangerousGetHandle(), connection));

    private void Run()
    {
        while (!_stopped)
        {
            var count = Native.WaitEpoll(_epoll, ref _events[0], MaxEvents, LookMilliseconds);
            if (count < 0 && Marshal.GetLastPInvokeError() != Native.InterruptedSystemCall)
                throw new Win32Exception(Marshal.GetLastPInvokeError(), "The edge cannot wait for sockets (epoll_wait).");
            for (var i = 0; i < count; i++)
            {
                var entry = _events.AsSpan(i * EventBytes);

                // An event may be for a number's former owner: then the new one looks for nothing, which does no harm.
                if (_connections.TryGetValue((int)MemoryMarshal.Read<long>(entry[DataOffset..]), out var connection))
                    connection.OnReady(MemoryMarshal.Read<uint>(entry));
            }
        }

        _epoll.Dispose();
    }
}
