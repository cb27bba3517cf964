using System.Text;
using NanoVms.Agent.Interop;

namespace NanoVms.Agent;

/// <summary>Takes hosts by a Unix socket, one at a time: the newest counts.</summary>
internal static unsafe class SocketServer
{
    public static bool TryListen(string path, EventLoop loop, HostChannel channel)
    {
        // struct sockaddr_un: AF_UNIX, then 108 bytes of path. Socket flags: SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK.
        const int AddressLength = 110;
        var address = stackalloc byte[AddressLength];
        new Span<byte>(address, AddressLength).Clear();
        address[0] = 1;
        if (Encoding.UTF8.GetByteCount(path) > 107)
            return false;
        Encoding.UTF8.GetBytes(path, new Span<byte>(address + 2, 107));
        Files.TryUnlink(path);
        var listener = Libc.Socket(1, 0x80801, 0);
        // SAFETY: the address has the length that is passed.
        if (listener < 0 || Libc.Bind(listener, address, AddressLength) != 0 || Libc.Listen(listener, 8) != 0)
            return false;
        Serve(listener, loop, channel);
        return true;
    }

    /// <param name="listener">A listening socket; programs do not inherit it.</param>
    public static void Serve(int listener, EventLoop loop, HostChannel channel)
    {
        const int SetFlags = 2;
        const int CloseOnExec = 1;
        _ = Libc.FileControl(listener, SetFlags, CloseOnExec);
        loop.Add(listener, Libc.EPOLLIN, _ =>
        {
            var accepted = Libc.Accept(listener, null, null, 0x80800);
            if (accepted >= 0)
                channel.Attach(accepted, closesWithHost: true);
        });
    }
}
