using System.Buffers;
using System.IO.Compression;
using System.Numerics;

namespace BytePort.Builds.Sites;

/// <summary>Compresses once what is served many times.</summary>
internal static class Compressor
{
    /// <summary>Shorter content fits one packet anyway.</summary>
    public const int MinBytes = 256;

    /// <summary>Longer content would hold too much memory for what it gains.</summary>
    public const int MaxBytes = 32 * 1024 * 1024;

    // An encoding must save a twentieth, or the cost of decoding buys nothing.
    private const double WorthIt = 0.95;

    /// <summary>Brotli, or null when it is not worth it.</summary>
    public static byte[]? Brotli(ReadOnlySpan<byte> content)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Limit(content) + 1024);
        try
        {
            return BrotliEncoder.TryCompress(content, buffer, out var written, BrotliQuality(content.Length), BrotliWindow(content.Length))
                && written <= Limit(content)
                ? buffer[..written]
                : null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Gzip, or null when it is not worth it.</summary>
    public static byte[]? Gzip(ReadOnlySpan<byte> content)
    {
        using var compressed = new MemoryStream(content.Length / 2);
        using (var gzip = new GZipStream(compressed, content.Length <= 1 << 20 ? CompressionLevel.SmallestSize : CompressionLevel.Optimal, leaveOpen: true))
            gzip.Write(content);
        return compressed.Length <= Limit(content) ? compressed.ToArray() : null;
    }

    private static int Limit(ReadOnlySpan<byte> content) => (int)(content.Length * WorthIt);

    // Measured on 4 KiB of text, one core: quality 11 takes 6.6 ms, 10 2.1 ms, 9 0.3 ms, and 9 gives 24 % more bytes than
    // 11. A thousand files must not cost seconds, and the choice may depend on the content alone (equal content, equal blob).
    private static int BrotliQuality(int bytes) => bytes switch
    {
        <= 1 << 20 => 9,
        <= 4 << 20 => 7,
        _ => 5,
    };

    // A window larger than the content gains nothing, and clearing its tables takes ten times as long as compressing.
    private static int BrotliWindow(int bytes) => Math.Clamp(BitOperations.Log2((uint)bytes) + 1, 16, 22);
}
