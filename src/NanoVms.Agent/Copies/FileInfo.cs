using System.Buffers.Binary;
using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Copies;

/// <summary>What stat(2) says.</summary>
internal readonly record struct FileInfo(ulong Device, uint Mode, uint User, uint Group, long Size, long Modified)
{
    private const int StatLength = 144;

    public bool IsFile => (Mode & 0xF000) == 0x8000;

    public bool IsDirectory => (Mode & 0xF000) == 0x4000;

    public bool IsLink => (Mode & 0xF000) == 0xA000;

    public static unsafe bool TryRead(int folder, string name, int flags, out FileInfo info)
    {
        var bytes = stackalloc byte[StatLength];
        int result;
        // SAFETY: the name is pinned and ends in a zero; the buffer has the structure's length.
        fixed (byte* path = Folder.Name(name))
            result = Libc.StatAt(folder, path, bytes, flags);
        var stat = new ReadOnlySpan<byte>(bytes, StatLength);
        info = new FileInfo(
            BinaryPrimitives.ReadUInt64LittleEndian(stat),
            BinaryPrimitives.ReadUInt32LittleEndian(stat[24..]),
            BinaryPrimitives.ReadUInt32LittleEndian(stat[28..]),
            BinaryPrimitives.ReadUInt32LittleEndian(stat[32..]),
            BinaryPrimitives.ReadInt64LittleEndian(stat[48..]),
            BinaryPrimitives.ReadInt64LittleEndian(stat[88..]));
        return result == 0;
    }
}
