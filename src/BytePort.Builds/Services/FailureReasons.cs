using System.Globalization;
using BytePort.Builds.Logs;
using NanoVms.Machines;

namespace BytePort.Builds.Services;

/// <summary>Finds out why a command in a build's machine failed, and says what to do.</summary>
internal static class FailureReasons
{
    private static readonly string[] MemorySigns = ["heap out of memory", "Cannot allocate memory", "ENOMEM", "MemoryError", "Out of memory"];

    private static readonly string[] DiskSigns = ["No space left on device", "ENOSPC"];

    public static async Task<BuildException> ExplainAsync(
        Machine machine, BuildLimits limits, string command, ProcessExit exit, CommandOutput output, CancellationToken cancellationToken)
    {
        var tail = string.Join('\n', output.LastLines.TakeLast(10));
        if (exit is { ExitCode: null, Signal: null })
            return new BuildException(BuildErrors.MachineFailed, $"The build's machine ended while '{command}' ran: {exit.Reason}");

        // The kernel's own count is certain; the words are for programs that give up before the kernel has to act.
        if (await CountOutOfMemoryKillsAsync(machine, cancellationToken) > 0 || Has(MemorySigns))
            return new BuildException(
                BuildErrors.OutOfMemory,
                $"'{command}' ran out of memory: a build has {limits.MemoryMiB} MiB. Make the build smaller, for example with fewer workers or without source maps.\n{tail}")
            {
                ExitCode = exit.ExitCode,
            };
        if (Has(DiskSigns) || await IsDiskFullAsync(machine, cancellationToken))
            return new BuildException(
                BuildErrors.DiskFull,
                $"'{command}' filled the disk: a build may write {limits.DiskBytes / 1024 / 1024 / 1024.0:0.#} GiB. Make it write less.\n{tail}")
            {
                ExitCode = exit.ExitCode,
            };

        var how = exit.ExitCode is { } code ? $"ended with exit code {code}" : $"was ended by signal {exit.Signal}";
        var hint = exit.ExitCode switch
        {
            127 => " The command, or one that it runs, is not installed: add it to the project's dependencies.",
            126 => " The command, or one that it runs, is not executable.",
            _ => "",
        };
        return new BuildException(BuildErrors.BuildFailed, $"'{command}' {how}.{hint}{(tail.Length > 0 ? $" Its last lines:\n{tail}" : "")}")
        {
            ExitCode = exit.ExitCode,
        };

        bool Has(string[] signs) => output.LastLines.Any(line => signs.Any(sign => line.Contains(sign, StringComparison.OrdinalIgnoreCase)));
    }

    private static async Task<int> CountOutOfMemoryKillsAsync(Machine machine, CancellationToken cancellationToken)
    {
        var counters = new List<string>();
        var output = new CommandOutput(new BuildLog(line => counters.Add(line.Text)));
        try
        {
            await machine.RunAsync(new ProcessSpec { Command = ["/bin/cat", "/proc/vmstat"] }, output.Append, cancellationToken);
        }
        catch (MachineException)
        {
            // A machine that died has no counter left; its death is reported by whoever waits for the command.
            return 0;
        }

        output.Complete();
        const string Counter = "oom_kill ";
        var found = counters.FirstOrDefault(line => line.StartsWith(Counter, StringComparison.Ordinal));
        return int.TryParse(found.AsSpan(found is null ? 0 : Counter.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : 0;
    }

    private static async Task<bool> IsDiskFullAsync(Machine machine, CancellationToken cancellationToken)
    {
        try
        {
            var stats = await machine.GetStatsAsync(cancellationToken);
            return stats.DiskTotal > 0 && stats.DiskTotal - stats.DiskUsed < 4096 * 16;
        }
        catch (MachineException)
        {
            return false;
        }
    }
}
