using System.Globalization;

namespace BytePort.Server.Grpc;

/// <summary>The header <c>grpc-timeout</c>: one to eight digits and a unit, from hours (H) to nanoseconds (n).</summary>
internal static class GrpcTimeout
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(40);

    /// <returns>False when the text is something else. Longer than 40 days, the most a timer takes, counts as 40 days.</returns>
    public static bool TryParse(string text, out TimeSpan timeout)
    {
        timeout = default;
        if (text.Length is < 2 or > 9 || text.AsSpan(0, text.Length - 1).ContainsAnyExceptInRange('0', '9'))
            return false;
        var count = long.Parse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture);
        double? milliseconds = text[^1] switch
        {
            'H' => count * 3_600_000d,
            'M' => count * 60_000d,
            'S' => count * 1000d,
            'm' => count,
            'u' => count / 1000d,
            'n' => count / 1_000_000d,
            _ => null,
        };
        if (milliseconds is not { } value)
            return false;
        timeout = value < Longest.TotalMilliseconds ? TimeSpan.FromMilliseconds(value) : Longest;
        return true;
    }
}
