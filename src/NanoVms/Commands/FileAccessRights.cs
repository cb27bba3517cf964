using System.Runtime.InteropServices;

namespace NanoVms.Commands;

/// <summary>What this process may do with files, as the kernel answers without anything being done.</summary>
internal static partial class FileAccessRights
{
    private const int Write = 2;

    /// <summary>False too when there is no such file, or its file system is read-only.</summary>
    public static bool MayWrite(string path) => Access(path, Write) == 0;

    /// <summary>access(2): 0, or -1.</summary>
    [LibraryImport("libc", EntryPoint = "access", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Access(string path, int mode);
}
