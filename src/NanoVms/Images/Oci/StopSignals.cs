using System.Globalization;

namespace NanoVms.Images.Oci;

/// <summary>Signals as images write them: <c>SIGQUIT</c>, <c>QUIT</c>, <c>3</c>, <c>SIGRTMIN+3</c> (signal(7), x86-64).</summary>
internal static class StopSignals
{
    private const int RealTimeMin = 34;
    private const int RealTimeMax = 64;

    private static readonly string[] Names =
    [
        "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT",
        "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];

    /// <returns>1 to 64, or null when it is none.</returns>
    public static int? Parse(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        if (TryNumber(text, out var number))
            return number is >= 1 and <= RealTimeMax ? number : null;
        var name = text.ToUpperInvariant();
        if (name.StartsWith("SIG", StringComparison.Ordinal))
            name = name[3..];
        if (Array.IndexOf(Names, name, 1) is > 0 and var index)
            return index;
        return name switch
        {
            "IOT" => 6,
            "POLL" => 29,
            "RTMIN" => RealTimeMin,
            "RTMAX" => RealTimeMax,
            _ when name.StartsWith("RTMIN+", StringComparison.Ordinal) && TryNumber(name[6..], out var more) && more <= RealTimeMax - RealTimeMin => RealTimeMin + more,
            _ when name.StartsWith("RTMAX-", StringComparison.Ordinal) && TryNumber(name[6..], out var less) && less <= RealTimeMax - RealTimeMin => RealTimeMax - less,
            _ => null,
        };
    }

    private static bool TryNumber(string text, out int number) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
