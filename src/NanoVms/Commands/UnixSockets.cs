using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Commands;

/// <summary>
/// Unix sockets in folders with paths of any length (an address holds 107 bytes only), and listening sockets that are made
/// here but served by another program.
/// </summary>
/// <remarks>
/// A <see cref="Socket"/> that was bound deletes its file when it is closed; the ones made here do not, because the program
/// that they were handed to goes on serving them.
/// </remarks>
internal static partial class UnixSockets
{
    private const int FamilyUnix = 1;
    private const int TypeStream = 1;
    private const int CloseOnExec = 0x80000;
    private const int PathOnly = 0x200000;
    private const int DirectoryOnly = 0x10000;
    private const int NoFollow = 0x20000;
    private const int AddressSize = 110;
    private const int PathOffset = 2;
    private const int LevelSocket = 1;
    private const int Rights = 1;
    private const int NoSignal = 0x4000;
    private const int MaxFiles = 16;
    private const int TryAgain = 11;
    private const int Interrupted = 4;

    /// <summary>A socket that listens at a file of a folder; a file that is there is replaced.</summary>
    public static unsafe SafeFileHandle Listen(string folder, string name)
    {
        File.Delete(Path.Combine(folder, name));
        using var directory = OpenFolder(folder);
        var path = Encoding.UTF8.GetBytes(PathIn(directory, name));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(path.Length, AddressSize - PathOffset - 1, nameof(name));

        var socket = Check(CreateSocket(FamilyUnix, TypeStream | CloseOnExec, 0));
        // SAFETY: struct sockaddr_un is two bytes of family and 108 of path, NUL-terminated; the block is zeroed.
        var address = stackalloc byte[AddressSize];
        new Span<byte>(address, AddressSize).Clear();
        *(short*)address = FamilyUnix;
        path.CopyTo(new Span<byte>(address + PathOffset, path.Length));
        if (Bind(socket, address, AddressSize) == 0 && StartListening(socket, 4) == 0)
            return socket;

        var error = Marshal.GetLastPInvokeError();
        socket.Dispose();
        throw new IOException($"Cannot listen at {Path.Combine(folder, name)}: {new Win32Exception(error).Message}.");
    }

    /// <summary>Connects to a socket that is in the folder itself: a link there, which its owner may have made to another's socket, is not followed.</summary>
    /// <exception cref="SocketException">Nobody listens.</exception>
    /// <exception cref="IOException">There is no such file.</exception>
    public static async Task<NetworkStream> ConnectAsync(string folder, string name, CancellationToken cancellationToken)
    {
        using var directory = OpenFolder(folder);
        using var file = Check(Open(PathIn(directory, name), PathOnly | NoFollow | CloseOnExec), Path.Combine(folder, name));
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(PathOf(file)), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Two ends of one stream.</summary>
    public static unsafe (Socket Mine, SafeSocketHandle Other) CreatePair()
    {
        var ends = stackalloc int[2];
        if (SocketPair(FamilyUnix, TypeStream | CloseOnExec, 0, ends) != 0)
            throw new IOException($"Cannot make a socket pair: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
        return (new Socket(new SafeSocketHandle(ends[0], ownsHandle: true)), new SafeSocketHandle(ends[1], ownsHandle: true));
    }

    /// <summary>Sends bytes and, with the first of them, an open file (SCM_RIGHTS, unix(7)). Both are small; the call may block for a moment.</summary>
    /// <exception cref="IOException">The other end is gone.</exception>
    public static void SendWithFile(Socket socket, ReadOnlySpan<byte> bytes, SafeHandle file) => SendWithFiles(socket, bytes, [file]);

    /// <summary>The same with up to 16 files.</summary>
    /// <exception cref="IOException">The other end is gone.</exception>
    public static unsafe void SendWithFiles(Socket socket, ReadOnlySpan<byte> bytes, IReadOnlyList<SafeHandle> files)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(files.Count, MaxFiles);
        // SAFETY: struct msghdr and struct cmsghdr as on 64-bit Linux: the control message is a header of 16 bytes and descriptors of
        // four, padded to eight; everything that they point to lives on this stack frame until sendmsg returns.
        var size = 16 + ((files.Count * 4) + 7) / 8 * 8;
        var control = stackalloc byte[size];
        new Span<byte>(control, size).Clear();
        *(ulong*)control = (ulong)(16 + (files.Count * 4));
        *(int*)(control + 8) = LevelSocket;
        *(int*)(control + 12) = Rights;
        for (var i = 0; i < files.Count; i++)
            *(int*)(control + 16 + (i * 4)) = (int)files[i].DangerousGetHandle();
        var vector = stackalloc nint[2];
        var message = stackalloc nint[7];
        var sent = 0;
        fixed (byte* start = bytes)
        {
            while (sent < bytes.Length)
            {
                (vector[0], vector[1]) = ((nint)(start + sent), bytes.Length - sent);
                (message[0], message[1], message[2], message[3]) = (0, 0, (nint)vector, 1);
                (message[4], message[5], message[6]) = sent == 0 ? ((nint)control, size, 0) : (0, 0, 0);
                var count = SendMessage(socket.SafeHandle, message, NoSignal);
                if (count < 0 && Marshal.GetLastPInvokeError() is not (TryAgain or Interrupted))
                    throw new IOException($"Cannot hand over a file: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
                if (count < 0)
                    Thread.Sleep(1);
                else
                    sent += (int)count;
            }
        }

        GC.KeepAlive(files);
    }

    // The kernel follows this link to the open folder itself, so the path stays short and cannot be swapped under us.
    private static string PathIn(SafeFileHandle directory, string name) => $"{PathOf(directory)}/{name}";

    private static string PathOf(SafeFileHandle file) => $"/proc/self/fd/{(int)file.DangerousGetHandle()}";

    private static SafeFileHandle OpenFolder(string folder) => Check(Open(folder, PathOnly | DirectoryOnly | CloseOnExec), folder);

    private static SafeFileHandle Check(SafeFileHandle handle, string what = "a socket")
    {
        if (!handle.IsInvalid)
            return handle;
        var error = Marshal.GetLastPInvokeError();
        handle.Dispose();
        throw new IOException($"Cannot open {what}: {new Win32Exception(error).Message}.");
    }

    // Each returns a descriptor or 0, and -1 with errno on failure.
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial SafeFileHandle CreateSocket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static unsafe partial int Bind(SafeFileHandle socket, void* address, int size);

    [LibraryImport("libc", EntryPoint = "listen", SetLastError = true)]
    private static partial int StartListening(SafeFileHandle socket, int backlog);

    /// <summary>sendmsg(2): how many bytes were sent, or -1 with errno.</summary>
    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static unsafe partial nint SendMessage(SafeHandle socket, void* message, int flags);

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static unsafe partial int SocketPair(int family, int type, int protocol, int* ends);
}
