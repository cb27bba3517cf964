using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;

namespace NanoVms.Drivers.Qemu;

/// <summary>
/// A guest's memory as a file without a name that its hypervisor maps: what the guest has not touched takes no room, and a snapshot
/// is a copy of it.
/// </summary>
internal static partial class QemuMemory
{
    private const string FileName = "nanovms-memory";
    private const int CloseOnExec = 1;

    /// <summary>Empty: all zeroes.</summary>
    public static SafeFileHandle Create(int memoryMiB)
    {
        var file = CreateMemoryFile(FileName, CloseOnExec);
        if (file.IsInvalid)
            throw new IOException($"Cannot make a memory file: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
        RandomAccess.SetLength(file, (long)memoryMiB << 20);
        return file;
    }

    /// <summary>Opens the memory of a running guest.</summary>
    /// <exception cref="HypervisorException">The process has no such file.</exception>
    public static SafeFileHandle Open(ProcessIdentity process)
    {
        var folder = $"/proc/{process.Id.ToString(CultureInfo.InvariantCulture)}/fd";
        try
        {
            var path = Directory.EnumerateFiles(folder).FirstOrDefault(IsMemory)
                ?? throw new HypervisorException("The hypervisor was started without a memory file, so it cannot be snapshotted: start the machine anew.");
            return File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HypervisorException($"The guest's memory cannot be read: {e.Message}", e);
        }
    }

    private static bool IsMemory(string path) =>
        new FileInfo(path).LinkTarget?.StartsWith($"/memfd:{FileName}", StringComparison.Ordinal) == true;

    /// <summary>memfd_create(2): a descriptor, or -1 with errno.</summary>
    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle CreateMemoryFile(string name, uint flags);
}
