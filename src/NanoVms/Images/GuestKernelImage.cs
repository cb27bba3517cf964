using System.Buffers.Binary;
using System.IO.Compression;
using NanoVms.Commands;

namespace NanoVms.Images;

/// <summary>
/// Takes the plain ELF kernel out of a bzImage, as the boot protocol describes it (Documentation/arch/x86/boot.rst): booting that
/// spares the guest its own unpacking.
/// </summary>
internal static class GuestKernelImage
{
    private const int SetupSectors = 0x1F1;
    private const int HeaderMagic = 0x202;
    private const int PayloadOffset = 0x248;
    private const int PayloadLength = 0x24C;
    private const int MaxKernelBytes = 256 * 1024 * 1024;
    private static ReadOnlySpan<byte> ElfMagic => [0x7F, (byte)'E', (byte)'L', (byte)'F'];

    public static async Task UnpackAsync(string bzImage, string vmlinux, CancellationToken cancellationToken)
    {
        var (packed, size) = FindPayload(await File.ReadAllBytesAsync(bzImage, cancellationToken), bzImage);
        var kernel = BinaryPrimitives.ReadUInt32LittleEndian(packed.Span) switch
        {
            GuestKernelLz4.Magic => GuestKernelLz4.Decode(packed.Span, size),
            0xFD2FB528 => await UnpackByProgramAsync("zstd", ["-d", "-q", "-o"], packed, vmlinux, cancellationToken),
            var magic when (magic & 0xFFFF) == 0x8B1F => Gunzip(packed),
            var magic => throw new ImageException($"The kernel {bzImage} is packed in a way that is not known here (magic {magic:x8})."),
        };
        if (kernel.Length != size || !kernel.AsSpan().StartsWith(ElfMagic))
            throw new ImageException($"The kernel {bzImage} unpacked to {kernel.Length} bytes instead of an ELF file of {size}.");
        await File.WriteAllBytesAsync(vmlinux, kernel, cancellationToken);
    }

    private static (ReadOnlyMemory<byte> Packed, int Size) FindPayload(byte[] image, string path)
    {
        ReadOnlySpan<byte> bytes = image;
        if (bytes.Length < 0x1000 || !bytes[HeaderMagic..].StartsWith("HdrS"u8))
            throw new ImageException($"{path} is no bzImage.");
        var sectors = bytes[SetupSectors] == 0 ? 4 : bytes[SetupSectors];
        var start = ((sectors + 1) * 512L) + BinaryPrimitives.ReadUInt32LittleEndian(bytes[PayloadOffset..]);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(bytes[PayloadLength..]);
        if (length < 8 || start + length > bytes.Length)
            throw new ImageException($"The bzImage {path} is cut off.");

        // The last four bytes are the size of the plain kernel.
        var payload = image.AsMemory((int)start, (int)length - 4);
        var size = BinaryPrimitives.ReadUInt32LittleEndian(bytes[(int)(start + length - 4)..]);
        return size <= MaxKernelBytes ? (payload, (int)size) : throw new ImageException($"The kernel {path} claims to unpack to {size} bytes.");
    }

    private static byte[] Gunzip(ReadOnlyMemory<byte> packed)
    {
        using var source = new GZipStream(new MemoryStream(packed.ToArray()), CompressionMode.Decompress);
        using var target = new MemoryStream();
        source.CopyTo(target);
        return target.ToArray();
    }

    private static async Task<byte[]> UnpackByProgramAsync(
        string program, string[] arguments, ReadOnlyMemory<byte> packed, string vmlinux, CancellationToken cancellationToken)
    {
        var (source, target) = (vmlinux + ".packed", vmlinux + ".plain");
        try
        {
            await File.WriteAllBytesAsync(source, packed, cancellationToken);
            await CommandRunner.RunCheckedAsync(new Command(program, [.. arguments, target, source]), cancellationToken);
            return await File.ReadAllBytesAsync(target, cancellationToken);
        }
        finally
        {
            File.Delete(source);
            File.Delete(target);
        }
    }
}
