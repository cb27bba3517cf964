using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Drivers.Qemu;

/// <summary>A guest's memory as a file without a name that its hypervisor maps: what the guest has not touched takes no room.</summary>
internal static partial class QemuMemory
{
    public const string FileName = "nanovms-memory";
    private const uint CloseOnExec = 1;
    private const uint AllowSealing = 2;
    private const int AddSeals = 1033;

    // F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE.
    private const int AllSeals = 15;

    /// <summary>Empty: all zeroes.</summary>
    public static SafeFileHandle Create(long bytes)
    {
        var file = CreateMemoryFile(FileName, CloseOnExec | AllowSealing);
        if (file.IsInvalid)
            throw new IOException($"Cannot make a memory file: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
        RandomAccess.SetLength(file, bytes);
        return file;
    }

    /// <summary>From here on nobody can change the file, whoever has it: it can be lent to guests that must not see each other.</summary>
    public static void Seal(SafeFileHandle file)
    {
        if (Control(file, AddSeals, AllSeals) != 0)
            throw new IOException($"Cannot seal a memory file: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
    }

    /// <summary>memfd_create(2): a descriptor, or -1 with errno.</summary>
    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle CreateMemoryFile(string name, uint flags);

    /// <summary>fcntl(2): -1 with errno on failure.</summary>
    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, int command, int argument);
}
