namespace NanoVms.Commands;

/// <summary>A host program could not be started, did not end in time, or (checked runs) ended with a non-zero exit code.</summary>
public sealed class CommandException : Exception
{
    public CommandException(string message, string program, CommandFailure failure, int? exitCode = null, Exception? inner = null)
        : base(message, inner)
    {
        Program = program;
        Failure = failure;
        ExitCode = exitCode;
    }

    public string Program { get; }

    public CommandFailure Failure { get; }

    public int? ExitCode { get; }

    /// <summary>What the program said last, at most ten lines; empty when it said nothing or never ran.</summary>
    public string LastLines { get; init; } = "";

    /// <summary>True when the same command may succeed later without anyone changing anything.</summary>
    public bool IsTransient => Failure == CommandFailure.TimedOut;
}

public enum CommandFailure
{
    /// <summary>The program is not installed.</summary>
    Missing = 0,

    /// <summary>The program is there but the kernel refused to start it.</summary>
    NotStarted,

    TimedOut,

    ExitCode,
}
