using System.Globalization;

namespace BytePort.Manifest.Shapes;

/// <summary>Checks the five fields of a cron expression: minute, hour, day of month, month, day of week (0 and 7 are Sunday).</summary>
internal static class CronSchedule
{
    private static readonly (int Min, int Max)[] Ranges = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    private static readonly string[] Months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    private static readonly string[] Days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

    private static readonly Dictionary<string, string> Named = new()
    {
        ["@hourly"] = "0 * * * *",
        ["@daily"] = "0 0 * * *",
        ["@midnight"] = "0 0 * * *",
        ["@weekly"] = "0 0 * * 0",
        ["@monthly"] = "0 0 1 * *",
        ["@yearly"] = "0 0 1 1 *",
        ["@annually"] = "0 0 1 1 *",
    };

    /// <returns>The five fields with single spaces, names replaced by numbers; null when it is not a schedule.</returns>
    public static string? Normalize(string text)
    {
        var lower = text.Trim().ToLowerInvariant();
        if (Named.TryGetValue(lower, out var named))
            return named;
        var fields = lower.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length != Ranges.Length)
            return null;
        fields[3] = ReplaceNames(fields[3], Months, 1);
        fields[4] = ReplaceNames(fields[4], Days, 0);
        return fields.Zip(Ranges).All(pair => pair.First.Split(',').All(part => IsPart(part, pair.Second.Min, pair.Second.Max)))
            ? string.Join(' ', fields)
            : null;
    }

    private static bool IsPart(string part, int min, int max)
    {
        var step = part.Split('/');
        if (step.Length > 2 || (step.Length == 2 && !(TryNumber(step[1], out var every) && every >= 1 && every <= max)))
            return false;
        if (step[0] == "*")
            return true;
        var ends = step[0].Split('-');
        return ends.Length <= 2
            && TryNumber(ends[0], out var first) && TryNumber(ends[^1], out var last)
            && first >= min && last <= max && first <= last
            && (step.Length == 1 || ends.Length == 2);
    }

    private static bool TryNumber(string text, out int number) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private static string ReplaceNames(string field, string[] names, int first)
    {
        for (var i = 0; i < names.Length; i++)
            field = field.Replace(names[i], (i + first).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
        return field;
    }
}
