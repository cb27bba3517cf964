using System.Text.RegularExpressions;
using NanoVms.Commands;

namespace NanoVms.Drivers.Vmm;

/// <summary>Asks a hypervisor's program which version it is.</summary>
internal static partial class VmmVersion
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    /// <summary>Null when it does not say.</summary>
    /// <exception cref="CommandException">It cannot be run.</exception>
    public static async Task<Version?> FindAsync(string program, CancellationToken cancellationToken)
    {
        var result = await CommandRunner.RunAsync(new Command(program, "--version") { Timeout = Limit }, cancellationToken);
        return Read(result.StandardOutput);
    }

    /// <summary>The first number of the form 1.2 or 1.2.3, as in <c>Firecracker v1.14.0</c>, <c>cloud-hypervisor v48.0.0</c>.</summary>
    internal static Version? Read(string output) =>
        Number().Match(output) is { Success: true } found && Version.TryParse(found.Value, out var version) ? version : null;

    [GeneratedRegex(@"(?<=\bv?)\d{1,5}\.\d{1,5}(\.\d{1,5})?", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Number();
}
