using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace NanoVms.Agent.Copies;

/// <summary>What kind of file a path is, which .NET does not tell.</summary>
internal static partial class HostFile
{
    private const int NoFollow = 0x100;
    private const int CurrentFolder = -100;
    private const uint WantsType = 1;

    /// <summary>True for a file of bytes: not a pipe, which would make its reader wait, nor a socket or a device.</summary>
    public static bool IsRegular(string path)
    {
        // struct statx: the mode is 16 bits at byte 28.
        Span<byte> info = stackalloc byte[256];
        return Stat(CurrentFolder, path, NoFollow, WantsType, info) == 0
            && (BinaryPrimitives.ReadUInt16LittleEndian(info[28..]) & 0xF000) == 0x8000;
    }

    /// <summary>statx(2): 0, or -1.</summary>
    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Stat(int folder, string path, int flags, uint mask, Span<byte> info);
}
