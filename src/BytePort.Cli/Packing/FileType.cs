using System.Runtime.InteropServices;

namespace BytePort.Cli.Packing;

/// <summary>Tells files from pipes, sockets and devices, which .NET does not, and whose opening may block for ever.</summary>
internal static partial class FileType
{
    private const int CurrentFolder = -100;   // AT_FDCWD
    private const int NoFollow = 0x100;       // AT_SYMLINK_NOFOLLOW
    private const uint TypeMask = 0x1;        // STATX_TYPE
    private const int ModeOffset = 28;        // stx_mode in struct statx, the same on every architecture
    private const int StructSize = 256;
    private const int FormatMask = 0xF000;    // S_IFMT
    private const int Regular = 0x8000;       // S_IFREG

    /// <summary>True for a regular file; false for anything else and for what is not there.</summary>
    public static bool IsRegular(string path)
    {
        Span<byte> buffer = stackalloc byte[StructSize];
        return Statx(CurrentFolder, path, NoFollow, TypeMask, ref MemoryMarshal.GetReference(buffer)) == 0
            && (BitConverter.ToUInt16(buffer[ModeOffset..]) & FormatMask) == Regular;
    }

    /// <summary>statx(2): 0, or -1 with errno.</summary>
    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int folder, string path, int flags, uint mask, ref byte buffer);
}
