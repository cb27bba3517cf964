using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using NanoVms.Drivers.Isolation;

namespace NanoVms.Drivers.Container;

/// <summary>
/// What a container writes to its standard output and error: a named pipe, whose 64 KiB the kernel keeps while the container or a host has
/// it open. What does not fit is dropped, so that nobody waits and no disk fills.
/// </summary>
internal sealed unsafe partial class ContainerConsole : IDisposable
{
    public const string FileName = "console";
    private const int MaxBytes = 64 * 1024;
    private const int ReadWrite = 2;
    private const int NonBlocking = 0x800;
    private const int CloseOnExec = 0x80000;
    private readonly SafeFileHandle _file;

    private ContainerConsole(SafeFileHandle file) => _file = file;

    public SafeFileHandle File => _file;

    public static ContainerConsole Create(string folder)
    {
        var path = Path.Combine(folder, FileName);
        System.IO.File.Delete(path);
        Mounting.MakePipe(path);
        return Open(folder)!;
    }

    /// <summary>Null when it is not there.</summary>
    public static ContainerConsole? Open(string folder)
    {
        var file = OpenFile(Path.Combine(folder, FileName), ReadWrite | NonBlocking | CloseOnExec);
        if (!file.IsInvalid)
            return new ContainerConsole(file);
        file.Dispose();
        return null;
    }

    /// <summary>What the pipe holds, taken out of it.</summary>
    public byte[] Take()
    {
        var bytes = new byte[MaxBytes];
        var length = 0;
        // SAFETY: reads stay within the pinned array.
        fixed (byte* start = bytes)
        {
            nint count;
            while (length < MaxBytes && (count = Read(_file, start + length, MaxBytes - length)) > 0)
                length += (int)count;
        }

        return bytes[..length];
    }

    public void Dispose() => _file.Dispose();

    // Both return -1 with errno on failure, reading also when there is nothing.
    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "read")]
    private static partial nint Read(SafeFileHandle file, byte* buffer, nint count);
}
