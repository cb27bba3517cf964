using System.Globalization;

namespace BytePort.Cli.Terminal;

/// <summary>Times as people say them.</summary>
internal static class Age
{
    public static string Since(DateTimeOffset time, TimeProvider now) => $"{Of(now.GetUtcNow() - time)} ago";

    public static string Of(TimeSpan time) => time switch
    {
        { TotalSeconds: < 1 } => "0 s",
        { TotalSeconds: < 60 } => Whole(time.TotalSeconds, "s"),
        { TotalMinutes: < 60 } => Whole(time.TotalMinutes, "min"),
        { TotalHours: < 48 } => Whole(time.TotalHours, "h"),
        _ => Whole(time.TotalDays, "d"),
    };

    public static string Bytes(long bytes) => bytes switch
    {
        < 1024 => Whole(bytes, "B"),
        < 1024 * 1024 => Whole(bytes / 1024.0, "KiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024.0 / 1024.0:0.0} MiB"),
    };

    private static string Whole(double value, string unit) => string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(value):0} {unit}");
}
