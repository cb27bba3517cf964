using System.CommandLine;
using BytePort.Cli.Terminal;
using BytePort.Manifest.Hac;

namespace BytePort.Cli.Machines;

/// <summary>The options that say how much a machine may move in a second, and that it may run machines itself.</summary>
internal static class LimitOptions
{
    public static Option<string[]> Limits() => new("--limit")
    {
        HelpName = "NAME=VALUE",
        Description = $"The most in a second: {string.Join(", ", MachineLimit.All.Select(limit => limit.Key))}, such as send_bits=100M; may be given again.",
    };

    public static Option<bool> NestedVirtualization() => new("--nested-virtualization") { Description = "Let the guest run machines itself; for administrators." };

    /// <returns>Null when nothing was given.</returns>
    public static MachineLimits? Read(string[]? texts)
    {
        if (texts is not { Length: > 0 })
            return null;
        var limits = MachineLimit.ReadAll(texts, out var error);
        return error is null ? limits : throw new CliException(ExitCode.Usage, $"--limit: {error}");
    }

    /// <summary>As people write them; empty for none.</summary>
    public static IEnumerable<string> Show(MachineLimits limits) => MachineLimit.All
        .Where(limit => limit.Get(limits) is not null)
        .Select(limit => $"{limit.Key}={limit.Show(limit.Get(limits)!.Value)}");
}
