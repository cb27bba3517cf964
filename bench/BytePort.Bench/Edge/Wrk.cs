using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace BytePort.Bench.Edge;

/// <summary>Load from the other core.</summary>
internal static partial class Wrk
{
    private const int Connections = 32;

    /// <returns>Requests made, and requests per second.</returns>
    /// <exception cref="InvalidOperationException">A request failed: such figures mean nothing.</exception>
    public static async Task<(long Requests, double PerSecond)> RunAsync(int core, int seconds, string host, string url)
    {
        var start = new ProcessStartInfo(
            "taskset", ["-c", Text(core), "wrk", "-t1", $"-c{Text(Connections)}", $"-d{Text(seconds)}", "-H", $"Host: {host}", url])
        { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0 || output.Contains("Non-2xx", StringComparison.Ordinal) || output.Contains("Socket errors", StringComparison.Ordinal))
            throw new InvalidOperationException($"wrk on {url} as {host} saw failures:\n{output}");
        return (long.Parse(Total().Match(output).Groups[1].Value, CultureInfo.InvariantCulture), double.Parse(Rate().Match(output).Groups[1].Value, CultureInfo.InvariantCulture));
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"(\d+) requests in")]
    private static partial Regex Total();

    [GeneratedRegex(@"Requests/sec:\s+([\d.]+)")]
    private static partial Regex Rate();
}
