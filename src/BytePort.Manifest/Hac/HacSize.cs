using System.Globalization;
using BytePort.Manifest.Toml;

namespace BytePort.Manifest.Hac;

/// <summary>Sizes of machines: a number is MiB, a text has a unit. Units are powers of 1024, with or without the i, as hypervisors have them.</summary>
internal static class HacSize
{
    private const long Largest = 1L << 50;

    /// <returns>Bytes, or null when the value is anything else, negative or more than 1 PiB.</returns>
    public static long? Parse(TomlValue value) => value switch
    {
        TomlInteger { Number: >= 0 and <= Largest >> 20 } number => number.Number << 20,
        TomlString text => Parse(text.Text),
        _ => null,
    };

    /// <summary>The same of a text alone, which must have a unit.</summary>
    public static long? Parse(string text)
    {
        var digits = text.AsSpan().IndexOfAnyExceptInRange('0', '9');
        if (digits is <= 0 or > 15)
            return null;
        var shift = text[digits..].ToUpperInvariant() switch
        {
            "K" or "KB" or "KI" or "KIB" => 10,
            "M" or "MB" or "MI" or "MIB" => 20,
            "G" or "GB" or "GI" or "GIB" => 30,
            "T" or "TB" or "TI" or "TIB" => 40,
            _ => -1,
        };
        var count = long.Parse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture);
        return shift < 0 || count > Largest >> shift ? null : count << shift;
    }
}
