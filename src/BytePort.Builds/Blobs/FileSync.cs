using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace BytePort.Builds.Blobs;

/// <summary>Makes names and content survive a power cut.</summary>
internal static partial class FileSync
{
    private const int ReadOnly = 0;
    private const int CloseOnExec = 0x80000;
    private const int DirectoryOnly = 0x10000;

    /// <summary>Writes a folder's entries to the disk: after a rename, until then the old name may come back.</summary>
    public static void SyncDirectory(string folder)
    {
        using var handle = OpenDirectory(folder);
        if (SyncFile(handle) != 0)
            throw Failure("fsync", folder);
    }

    /// <summary>Writes everything of the file system that holds the folder: cheaper than many single syncs.</summary>
    public static void SyncFileSystem(string folder)
    {
        using var handle = OpenDirectory(folder);
        if (SyncFileSystem(handle) != 0)
            throw Failure("syncfs", folder);
    }

    private static SafeFileHandle OpenDirectory(string folder)
    {
        var handle = Open(folder, ReadOnly | CloseOnExec | DirectoryOnly);
        return handle.IsInvalid ? throw Failure("open", folder) : handle;
    }

    private static IOException Failure(string call, string path) =>
        new($"{call} of '{path}' failed: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");

    /// <summary>open(2): a descriptor, or -1.</summary>
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    /// <summary>fsync(2): 0, or -1.</summary>
    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int SyncFile(SafeFileHandle descriptor);

    /// <summary>syncfs(2): 0, or -1.</summary>
    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    private static partial int SyncFileSystem(SafeFileHandle descriptor);
}
