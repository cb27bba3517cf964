using System.Globalization;

namespace BytePort.Manifest;

/// <summary>Amounts of bytes as people write them: <c>512Mi</c>, <c>1Gi</c>, <c>10GB</c>; Ki, Mi, Gi, Ti are powers of 1024, K, M, G, T of 1000.</summary>
public static class ByteSize
{
    private static readonly (string Unit, long Bytes)[] Units =
    [
        ("Ti", 1L << 40), ("Gi", 1L << 30), ("Mi", 1L << 20), ("Ki", 1L << 10),
        ("T", 1_000_000_000_000), ("G", 1_000_000_000), ("M", 1_000_000), ("K", 1000), ("", 1),
    ];

    /// <summary>Reads a whole number with an optional unit and an optional B behind it.</summary>
    /// <returns>False when the text is anything else, or more than 1 PiB.</returns>
    public static bool TryParse(string text, out long bytes)
    {
        ArgumentNullException.ThrowIfNull(text);
        bytes = 0;
        var digits = text.AsSpan().IndexOfAnyExceptInRange('0', '9');
        if (digits < 0)
            digits = text.Length;
        if (digits is 0 or > 15)
            return false;
        var unit = text.AsSpan(digits);
        if (unit.EndsWith("B"))
            unit = unit[..^1];
        foreach (var (name, factor) in Units)
        {
            if (!unit.SequenceEqual(name))
                continue;
            var count = long.Parse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture);
            if (count > (1L << 50) / factor)
                return false;
            bytes = count * factor;
            return true;
        }

        return false;
    }

    /// <summary>The shortest text with a unit of 1024s that <see cref="TryParse"/> reads as the same amount.</summary>
    public static string Format(long bytes)
    {
        foreach (var (unit, factor) in Units)
        {
            if (unit.EndsWith('i') && bytes >= factor && bytes % factor == 0)
                return string.Create(CultureInfo.InvariantCulture, $"{bytes / factor}{unit}");
        }

        return bytes.ToString(CultureInfo.InvariantCulture);
    }
}
