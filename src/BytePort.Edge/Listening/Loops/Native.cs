using System.Runtime.InteropServices;

namespace BytePort.Edge.Listening.Loops;

/// <summary>What the event loop needs of libc; all return -1 and set errno when they fail.</summary>
internal static partial class Native
{
    public const int EpollCloseOnExec = 0x80000;
    public const int EpollAdd = 1;
    public const int InterruptedSystemCall = 4;
    public const int TryAgain = 11;

    /// <summary>MSG_DONTWAIT.</summary>
    public const int DoNotWait = 0x40;

    /// <summary>MSG_NOSIGNAL.</summary>
    public const int NoSignal = 0x4000;

    public const uint Readable = 0x001;
    public const uint Writable = 0x004;
    public const uint Error = 0x008;
    public const uint HangUp = 0x010;
    public const uint PeerClosed = 0x2000;
    public const uint EdgeTriggered = 1u << 31;

    /// <summary>epoll_create1(2).</summary>
    /// <returns>A descriptor.</returns>
    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int CreateEpoll(int flags);

    /// <summary>epoll_ctl(2).</summary>
    /// <returns>0.</returns>
    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    public static partial int ControlEpoll(SafeHandle epoll, int operation, SafeHandle socket, ref byte registration);

    /// <summary>epoll_wait(2).</summary>
    /// <returns>How many events were written.</returns>
    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    public static partial int WaitEpoll(SafeHandle epoll, ref byte events, int maxEvents, int timeoutMilliseconds);

    /// <summary>recv(2).</summary>
    /// <returns>Bytes received; 0 when the peer has closed its side.</returns>
    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    public static partial nint Receive(SafeHandle socket, Span<byte> buffer, nint length, int flags);

    /// <summary>send(2).</summary>
    /// <returns>Bytes sent, which may be fewer.</returns>
    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    public static partial nint Send(SafeHandle socket, ReadOnlySpan<byte> buffer, nint length, int flags);

    /// <summary>sendmsg(2).</summary>
    /// <returns>Bytes sent, which may be fewer.</returns>
    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    public static partial nint SendMessage(SafeHandle socket, in Message message, int flags);

    /// <summary>struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Part
    {
        public nint Address;
        public nint Length;
    }

    /// <summary>struct msghdr of 64-bit Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Message
    {
        public nint Name;
        public nint NameLength;
        public nint Parts;
        public nint PartCount;
        public nint Control;
        public nint ControlLength;
        public nint Flags;
    }
}
