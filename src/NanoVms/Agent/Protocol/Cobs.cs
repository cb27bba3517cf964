namespace NanoVms.Agent.Protocol;

/// <summary>
/// Consistent overhead byte stuffing (Cheshire and Baker, 1999): bytes without a zero, at 0.4 % more, so that a zero can end a
/// frame and a reader that joins in the middle finds the next one.
/// </summary>
internal static class Cobs
{
    private const int MaxRun = 254;

    /// <summary>The most bytes that <see cref="Encode"/> writes for so many.</summary>
    public static int MaxEncodedLength(int length) => length + (length / MaxRun) + 1;

    /// <returns>How many bytes were written.</returns>
    public static int Encode(ReadOnlySpan<byte> source, Span<byte> target)
    {
        var written = 0;
        while (true)
        {
            var run = source[..Math.Min(source.Length, MaxRun)];
            var zero = run.IndexOf((byte)0);
            if (zero >= 0)
                run = run[..zero];
            target[written] = (byte)(run.Length + 1);
            run.CopyTo(target[(written + 1)..]);
            written += run.Length + 1;
            source = source[run.Length..];
            if (zero >= 0)
                source = source[1..];
            else if (source.IsEmpty)
                return written;
        }
    }

    /// <summary>Decodes where the bytes are; they hold no zero.</summary>
    /// <returns>How many bytes came out, or -1 when a run passes the end.</returns>
    public static int DecodeInPlace(Span<byte> bytes)
    {
        int read = 0, written = 0;
        while (read < bytes.Length)
        {
            var run = bytes[read] - 1;
            if (run < 0 || run > bytes.Length - read - 1)
                return -1;
            bytes.Slice(read + 1, run).CopyTo(bytes[written..]);
            read += run + 1;
            written += run;
            if (run < MaxRun && read < bytes.Length)
                bytes[written++] = 0;
        }

        return written;
    }
}
