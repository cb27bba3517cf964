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
    private const int AddressSize = 110;
    private const int PathOffset = 2;

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

    /// <exception cref="SocketException">Nobody listens.</exception>
    public static async Task<NetworkStream> ConnectAsync(string folder, string name, CancellationToken cancellationToken)
    {
        using var directory = OpenFolder(folder);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(PathIn(directory, name)), cancellationToken);
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

    // The kernel follows this link to the open folder itself, so the path stays short and cannot be swapped under us.
    private static string PathIn(SafeFileHandle directory, string name) => $"/proc/self/fd/{(int)directory.DangerousGetHandle()}/{name}";

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

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static unsafe partial int SocketPair(int family, int type, int protocol, int* ends);
}
