using System.Buffers.Binary;

namespace NanoVms.Drivers.Qemu;

/// <summary>
/// A guest of 20 instructions that counts to fifty million and ends QEMU with a known exit code. Real hardware takes some 20 ms;
/// a KVM that emulates instructions takes minutes, which opening the device would not tell.
/// </summary>
internal static class ProbeGuest
{
    /// <summary>The exit code of QEMU (isa-debug-exit: value * 2 + 1) when the guest came to its end.</summary>
    public const int ExitCode = (Value << 1) | 1;

    /// <summary>I/O port of the isa-debug-exit device.</summary>
    public const int ExitPort = 0xf4;

    private const byte Value = 0x21;
    private const int Count = 50_000_000;
    private const int HeaderSize = 64;
    private const int SegmentSize = 56;
    private const int NoteOffset = HeaderSize + (2 * SegmentSize);
    private const int NoteSize = 24;
    private const int CodeOffset = NoteOffset + NoteSize;
    private const uint LoadAddress = 0x100000;

    /// <summary>An ELF64 executable with the PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY): QEMU starts it in 32-bit protected mode.</summary>
    public static byte[] Build()
    {
        byte[] code =
        [
            0xb9, .. Bytes(Count),              // mov  ecx, Count
            0x49,                               // dec  ecx
            0x75, 0xfd,                         // jnz  back to dec
            0x66, 0xba, ExitPort, 0x00,         // mov  dx, ExitPort
            0xb0, Value,                        // mov  al, Value
            0xee,                               // out  dx, al
            0xf4,                               // hlt
            0xeb, 0xfd,                         // jmp  back to hlt
        ];
        var image = new byte[CodeOffset + code.Length];
        WriteHeader(image);
        WriteSegment(image.AsSpan(HeaderSize), type: 1, flags: 5, offset: CodeOffset, address: LoadAddress, size: code.Length);
        WriteSegment(image.AsSpan(HeaderSize + SegmentSize), type: 4, flags: 4, offset: NoteOffset, address: 0, size: NoteSize);

        var note = image.AsSpan(NoteOffset);
        BinaryPrimitives.WriteInt32LittleEndian(note, 4);
        BinaryPrimitives.WriteInt32LittleEndian(note[4..], 8);
        BinaryPrimitives.WriteInt32LittleEndian(note[8..], 18);
        "Xen\0"u8.CopyTo(note[12..]);
        BinaryPrimitives.WriteUInt64LittleEndian(note[16..], LoadAddress);
        code.CopyTo(image.AsSpan(CodeOffset));
        return image;
    }

    private static void WriteHeader(Span<byte> header)
    {
        ReadOnlySpan<byte> identity = [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        identity.CopyTo(header);
        BinaryPrimitives.WriteInt16LittleEndian(header[16..], 2);              // executable
        BinaryPrimitives.WriteInt16LittleEndian(header[18..], 62);             // x86-64
        BinaryPrimitives.WriteInt32LittleEndian(header[20..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], LoadAddress);   // entry
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], HeaderSize);    // program headers
        BinaryPrimitives.WriteInt16LittleEndian(header[52..], HeaderSize);
        BinaryPrimitives.WriteInt16LittleEndian(header[54..], SegmentSize);
        BinaryPrimitives.WriteInt16LittleEndian(header[56..], 2);
    }

    private static void WriteSegment(Span<byte> segment, int type, int flags, int offset, ulong address, int size)
    {
        BinaryPrimitives.WriteInt32LittleEndian(segment, type);
        BinaryPrimitives.WriteInt32LittleEndian(segment[4..], flags);
        BinaryPrimitives.WriteInt64LittleEndian(segment[8..], offset);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[16..], address);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[24..], address);
        BinaryPrimitives.WriteInt64LittleEndian(segment[32..], size);
        BinaryPrimitives.WriteInt64LittleEndian(segment[40..], size);
        BinaryPrimitives.WriteInt64LittleEndian(segment[48..], 4);
    }

    private static byte[] Bytes(int number)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        return bytes;
    }
}
