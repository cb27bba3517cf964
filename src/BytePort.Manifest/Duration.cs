using System.Globalization;

namespace BytePort.Manifest;

/// <summary>Times as people write them: <c>30s</c>, <c>5m</c>, <c>1h30m</c>, <c>500ms</c>, <c>2d</c>.</summary>
public static class Duration
{
    private static readonly (string Unit, long Milliseconds)[] Units =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

    /// <summary>Reads whole numbers with units, largest unit first, each unit once.</summary>
    /// <returns>False when the text is anything else, or longer than 365 days.</returns>
    public static bool TryParse(string text, out TimeSpan value)
    {
        ArgumentNullException.ThrowIfNull(text);
        value = default;
        var total = 0L;
        var rest = text.AsSpan();
        var next = 0;
        while (rest.Length > 0)
        {
            var digits = rest.IndexOfAnyExceptInRange('0', '9');
            if (digits is <= 0 or > 9)
                return false;
            var count = long.Parse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture);
            rest = rest[digits..];
            var letters = rest.IndexOfAnyInRange('0', '9');
            var unit = letters < 0 ? rest : rest[..letters];
            while (next < Units.Length && !unit.SequenceEqual(Units[next].Unit))
                next++;
            if (next == Units.Length)
                return false;
            total += count * Units[next++].Milliseconds;
            rest = rest[unit.Length..];
        }

        if (text.Length == 0 || total > (long)TimeSpan.FromDays(365).TotalMilliseconds)
            return false;
        value = TimeSpan.FromMilliseconds(total);
        return true;
    }

    /// <summary>The shortest text that <see cref="TryParse"/> reads as the same time (to the millisecond).</summary>
    public static string Format(TimeSpan value)
    {
        var rest = (long)value.TotalMilliseconds;
        if (rest == 0)
            return "0s";
        var text = "";
        foreach (var (unit, milliseconds) in Units)
        {
            if (rest >= milliseconds)
                text += string.Create(CultureInfo.InvariantCulture, $"{rest / milliseconds}{unit}");
            rest %= milliseconds;
        }

        return text;
    }
}
