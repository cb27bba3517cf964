using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using NanoVms.Images;

namespace NanoVms.Drivers.Vmm;

/// <summary>
/// A named pipe into which a hypervisor writes without ever waiting: it holds 64 KiB, and what does not fit is lost. So what a guest
/// provokes fills neither disk nor memory, and is there when a host comes back.
/// </summary>
internal static unsafe partial class Fifo
{
    private const int ReadWrite = 2;
    private const int NonBlocking = 0x800;
    private const int NoFollow = 0x20000;
    private const int CloseOnExec = 0x80000;
    private const uint Mode = 0x180;

    /// <summary>Makes the pipe, which the user may open for writing, and holds it open at both ends.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    public static SafeFileHandle Create(string path, uint user)
    {
        File.Delete(path);
        if (MakeFifo(path, Mode) != 0)
            throw new IOException($"Cannot make the pipe {path}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
        FileOwner.Set(path, user, user);
        return TryOpen(path) ?? throw new IOException($"Cannot open the pipe {path}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
    }

    /// <summary>Null when it is not there.</summary>
    public static SafeFileHandle? TryOpen(string path)
    {
        // Open for writing too, so that there is no end of file when the hypervisor is late or gone.
        var handle = Open(path, ReadWrite | NonBlocking | NoFollow | CloseOnExec);
        if (!handle.IsInvalid)
            return handle;
        handle.Dispose();
        return null;
    }

    /// <summary>What is there now: 0 for nothing.</summary>
    public static int Read(SafeFileHandle pipe, Span<byte> buffer)
    {
        // SAFETY: the read stays within the pinned buffer.
        fixed (byte* start = buffer)
            return (int)Math.Max(0, ReadFile(pipe, start, (nuint)buffer.Length));
    }

    // Each returns a descriptor, a count or 0, and -1 with errno on failure.
    [LibraryImport("libc", EntryPoint = "mkfifo", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakeFifo(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadFile(SafeFileHandle file, byte* buffer, nuint count);
}
