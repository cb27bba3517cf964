namespace NanoVms.Commands;

/// <summary>How a program ended. A program that a signal ended has the exit code 128 + signal.</summary>
public sealed record CommandResult(int ExitCode, string StandardOutput, string StandardError)
{
    /// <summary>True when standard output was longer than <see cref="Command.MaxOutputBytes"/>: do not parse it then.</summary>
    public bool OutputTruncated { get; init; }

    public bool Succeeded => ExitCode == 0;
}
