using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Logs;

/// <summary>A line of a log for people.</summary>
internal static class LogText
{
    /// <summary>Time (UTC), service if known, and text; errors red where there are colours.</summary>
    public static string Format(LogLine line, bool colors)
    {
        var time = line.Time.UtcDateTime.ToString("HH:mm:ss", CultureInfo.InvariantCulture);
        var service = line.Service is null ? "" : $"{PlainText.Clean(line.Service)}  ";
        var text = PlainText.Clean(line.Text.TrimEnd('\r', '\n'), colors);
        if (!colors)
            return $"{time}  {service}{text}";
        text = line.Stream == "stderr" && !text.Contains('\u001b', StringComparison.Ordinal) ? $"\u001b[31m{text}\u001b[0m" : text;
        return $"\u001b[2m{time}\u001b[0m  {service}{text}";
    }
}
