using System.ComponentModel;
using System.Runtime.InteropServices;

namespace NanoVms.Images;

internal static partial class FileOwner
{
    /// <exception cref="IOException">Not permitted, or no such file.</exception>
    public static void Set(string path, uint user, uint group)
    {
        if (ChangeOwner(path, user, group) != 0)
            throw new IOException($"chown of '{path}' failed: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
    }

    /// <summary>lchown(2): 0, or -1. Never follows a link.</summary>
    [LibraryImport("libc", EntryPoint = "lchown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwner(string path, uint user, uint group);
}
