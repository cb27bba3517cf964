using System.Buffers;
using System.Globalization;
using System.Text;

namespace NanoVms.Images;

/// <summary>
/// Writes a "newc" cpio archive, the only one the kernel reads: Documentation/driver-api/early-userspace/buffer-format.rst.
/// Nothing in it depends on when or where it is made.
/// </summary>
internal sealed class GuestInitramfsArchive
{
    private readonly ArrayBufferWriter<byte> _bytes = new();
    private uint _number;

    public void AddDirectory(string path) => Add(path, 0x41ED, [], 0, 0);

    public void AddFile(string path, ReadOnlySpan<byte> content, bool executable) => Add(path, executable ? 0x81EDu : 0x81A4u, content, 0, 0);

    /// <summary>A character device that root alone may use.</summary>
    public void AddDevice(string path, uint major, uint minor) => Add(path, 0x2180, [], major, minor);

    public byte[] Finish()
    {
        Add("TRAILER!!!", 0, [], 0, 0);
        return _bytes.WrittenSpan.ToArray();
    }

    private void Add(string path, uint mode, ReadOnlySpan<byte> content, uint major, uint minor)
    {
        var name = Encoding.UTF8.GetBytes(path + "\0");
        // Magic, then inode, mode, owner, group, links, time, size, device (2), special device (2), name length, check sum.
        ReadOnlySpan<uint> fields =
            [++_number, mode, 0, 0, 1, 0, (uint)content.Length, 0, 0, major, minor, (uint)name.Length, 0];
        _bytes.Write("070701"u8);
        foreach (var field in fields)
            _bytes.Write(Encoding.ASCII.GetBytes(field.ToString("x8", CultureInfo.InvariantCulture)));
        _bytes.Write(name);
        Align();
        _bytes.Write(content);
        Align();
    }

    private void Align()
    {
        var padding = -_bytes.WrittenCount & 3;
        _bytes.Write(stackalloc byte[padding]);
    }
}
