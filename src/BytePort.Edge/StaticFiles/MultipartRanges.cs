using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace BytePort.Edge.StaticFiles;

/// <summary>The frame around several ranges (multipart/byteranges, RFC 9110 §14.6).</summary>
internal sealed class MultipartRanges
{
    private readonly byte[][] _heads;

    public MultipartRanges(IReadOnlyList<ByteRange> ranges, string contentType, long total)
    {
        // Random, because content that held the boundary could pass for a part.
        var boundary = RandomNumberGenerator.GetHexString(32, lowercase: true);
        ContentType = $"multipart/byteranges; boundary={boundary}";
        _heads = [.. ranges.Select((range, index) => Encoding.UTF8.GetBytes(string.Create(
            CultureInfo.InvariantCulture,
            $"{(index == 0 ? "" : "\r\n")}--{boundary}\r\nContent-Type: {contentType}\r\nContent-Range: {range.ContentRange(total)}\r\n\r\n")))];
        Tail = Encoding.UTF8.GetBytes($"\r\n--{boundary}--\r\n");
        Length = _heads.Sum(head => head.LongLength) + ranges.Sum(range => range.Length) + Tail.Length;
    }

    public string ContentType { get; }

    /// <summary>Of the whole body, in bytes.</summary>
    public long Length { get; }

    /// <summary>Goes after the last part.</summary>
    public byte[] Tail { get; }

    /// <summary>Goes before a part.</summary>
    public byte[] Head(int index) => _heads[index];
}
