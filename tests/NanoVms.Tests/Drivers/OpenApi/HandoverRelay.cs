using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Tests.Drivers.OpenApi;

/// <summary>Stands before an HTTP server on a Unix socket and takes the open files that come with requests (SCM_RIGHTS), which .NET's sockets drop.</summary>
internal sealed partial class HandoverRelay(string inner)
{
    private const int MaxFiles = 16;

    /// <summary>In the order in which they came; those of a request are here before it is.</summary>
    public ConcurrentQueue<SafeFileHandle> Files { get; } = [];

    public void Start(string path)
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        _ = Task.Run(async () =>
        {
            while (true)
            {
                var accepted = await listener.AcceptAsync();
                var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await server.ConnectAsync(new UnixDomainSocketEndPoint(inner));
                new Thread(() => Forward(accepted, server)) { IsBackground = true }.Start();
                _ = BackAsync(server, accepted);
            }
        });
    }

    private static async Task BackAsync(Socket server, Socket client)
    {
        try
        {
            await using var from = new NetworkStream(server, ownsSocket: true);
            await using var to = new NetworkStream(client, ownsSocket: true);
            await from.CopyToAsync(to);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // One of them is gone.
        }
    }

    private void Forward(Socket client, Socket server)
    {
        try
        {
            var buffer = new byte[16 * 1024];
            // .NET's sockets never block, whatever they say.
            while (client.Poll(-1, SelectMode.SelectRead) && Receive(client, buffer) is > 0 and var read)
                _ = server.Send(buffer.AsSpan(0, read));
            server.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // One of them is gone.
        }
    }

    private unsafe int Receive(Socket socket, byte[] buffer)
    {
        // SAFETY: struct msghdr, iovec and cmsghdr as on 64-bit Linux, all on this stack frame.
        const int Size = 16 + (MaxFiles * 4);
        var control = stackalloc byte[Size];
        new Span<byte>(control, Size).Clear();
        var vector = stackalloc nint[2];
        var message = stackalloc nint[7];
        fixed (byte* start = buffer)
        {
            (vector[0], vector[1]) = ((nint)start, buffer.Length);
            (message[0], message[1], message[2], message[3], message[4], message[5], message[6]) = (0, 0, (nint)vector, 1, (nint)control, Size, 0);
            var read = (int)ReceiveMessage(socket.SafeHandle, message, 0);
            if (read > 0 && message[5] > 16)
            {
                for (var i = 0; i < ((int)*(ulong*)control - 16) / 4; i++)
                    Files.Enqueue(new SafeFileHandle(*(int*)(control + 16 + (i * 4)), ownsHandle: true));
            }

            return read;
        }
    }

    /// <summary>recvmsg(2): how many bytes, 0 at the end, -1 with errno.</summary>
    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    private static unsafe partial nint ReceiveMessage(SafeHandle socket, void* message, int flags);
}
