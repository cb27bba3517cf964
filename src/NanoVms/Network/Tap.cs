using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Network;

/// <summary>
/// A tap that lives as long as somebody holds it open: the hypervisor gets the handle, so when it dies, however it dies,
/// the tap is gone.
/// </summary>
internal static unsafe partial class Tap
{
    private const int ReadWrite = 2;
    private const int CloseOnExec = 0x80000;
    private const nuint SetInterface = 0x400454ca;
    private const short FlagTap = 0x0002;
    private const short FlagNoPacketInformation = 0x1000;
    private const short FlagVirtioHeader = 0x4000;
    private const int NameSize = 16;
    private const int RequestSize = 40;
    private const int Busy = 16;
    private const int DuplicateCloseOnExec = 1030;

    /// <exception cref="NetworkException">No tap device in the kernel, no right to make one, or the name is in use.</exception>
    public static SafeFileHandle Create(string name)
    {
        var bytes = Encoding.ASCII.GetBytes(name);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(bytes.Length, NameSize, nameof(name));
        var handle = Open("/dev/net/tun", ReadWrite | CloseOnExec);
        if (handle.IsInvalid)
        {
            var error = Marshal.GetLastPInvokeError();
            handle.Dispose();
            throw new NetworkException(
                $"Cannot open /dev/net/tun: {new Win32Exception(error).Message}. Load it with 'modprobe tun' and run as root.");
        }

        // SAFETY: struct ifreq is 40 bytes: a name of 16, NUL-terminated, then a union whose first two bytes are the flags.
        var request = stackalloc byte[RequestSize];
        new Span<byte>(request, RequestSize).Clear();
        bytes.CopyTo(new Span<byte>(request, NameSize));
        *(short*)(request + NameSize) = FlagTap | FlagNoPacketInformation | FlagVirtioHeader;
        if (Control(handle, SetInterface, request) == 0)
            return handle;

        var reason = Marshal.GetLastPInvokeError();
        handle.Dispose();
        throw new NetworkException(reason == Busy
            ? $"Cannot make tap {name}: another process holds it. Find it with 'ip link show {name}'."
            : $"Cannot make tap {name}: {new Win32Exception(reason).Message}. It takes root (CAP_NET_ADMIN).");
    }

    /// <summary>Another handle of the same tap.</summary>
    /// <exception cref="NetworkException">Too many files are open.</exception>
    public static SafeFileHandle Share(SafeHandle tap)
    {
        var copy = new SafeFileHandle(Duplicate(tap, DuplicateCloseOnExec, 0), ownsHandle: true);
        return copy.IsInvalid ? throw new NetworkException($"Cannot hold a tap: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.") : copy;
    }

    /// <summary>fcntl(2): a descriptor, or -1 and errno.</summary>
    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Duplicate(SafeHandle file, int command, nint least);

    /// <summary>open(2): a descriptor, or -1 and errno.</summary>
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    /// <summary>ioctl(2): 0, or -1 and errno.</summary>
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, nuint request, void* argument);
}
