using System.Buffers.Binary;

namespace BytePort.Builds.Sources;

/// <summary>
/// Counts a zip's entries (PKWARE APPNOTE 4.3) with bounded memory before the framework's reader, which takes in the
/// whole directory whatever its size, sees the file.
/// </summary>
internal static class ZipDirectory
{
    private const int EndBytes = 22;
    private const int LocatorBytes = 20;
    private const int End64Bytes = 56;
    private const int HeaderBytes = 46;
    private const int MaxComment = ushort.MaxValue;

    /// <summary>The number of entries, or <paramref name="most"/> + 1 when there are more.</summary>
    /// <exception cref="SourceException">There is no directory, or it is malformed.</exception>
    public static int CountEntries(FileStream zip, int most)
    {
        zip.Position = FindDirectory(zip);
        // Not in "using": disposing it would close the file.
        var directory = new BufferedStream(zip, 64 * 1024);
        Span<byte> header = stackalloc byte[HeaderBytes];
        var count = 0;
        while (count <= most && directory.ReadAtLeast(header, HeaderBytes, throwOnEndOfStream: false) == HeaderBytes && header.StartsWith("PK\u0001\u0002"u8))
        {
            count++;
            var variable = U16(header[28..]) + U16(header[30..]) + U16(header[32..]);
            directory.Seek(variable, SeekOrigin.Current);
        }

        return count;
    }

    private static long FindDirectory(FileStream zip)
    {
        var tail = new byte[Math.Min(zip.Length, MaxComment + EndBytes + LocatorBytes)];
        zip.Position = zip.Length - tail.Length;
        zip.ReadExactly(tail);
        var end = tail.AsSpan().LastIndexOf("PK\u0005\u0006"u8);
        if (end < 0 || end + EndBytes > tail.Length)
            throw Damaged("it has no directory; was it uploaded whole?");

        long offset = BinaryPrimitives.ReadUInt32LittleEndian(tail.AsSpan(end + 16));
        var locator = end - LocatorBytes;
        if (locator >= 0 && tail.AsSpan(locator).StartsWith("PK\u0006\u0007"u8))
        {
            var end64 = BinaryPrimitives.ReadInt64LittleEndian(tail.AsSpan(locator + 8));
            if (end64 < 0 || end64 > zip.Length - End64Bytes)
                throw Damaged("its directory lies outside of the file");
            var record = new byte[End64Bytes];
            zip.Position = end64;
            zip.ReadExactly(record);
            if (!record.AsSpan().StartsWith("PK\u0006\u0006"u8))
                throw Damaged("its zip64 record is malformed");
            if (offset == uint.MaxValue)
                offset = BinaryPrimitives.ReadInt64LittleEndian(record.AsSpan(48));
        }

        return offset >= 0 && offset <= zip.Length ? offset : throw Damaged("its directory lies outside of the file");
    }

    private static int U16(ReadOnlySpan<byte> data) => BinaryPrimitives.ReadUInt16LittleEndian(data);

    private static SourceException Damaged(string why) => new(SourceErrors.BadArchive, $"The zip archive is damaged: {why}.");
}
