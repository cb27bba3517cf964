namespace BytePort.Cli.Terminal;

/// <summary>An expected failure: one line for the user, and the exit code.</summary>
internal sealed class CliException(ExitCode exitCode, string message) : Exception(message)
{
    public ExitCode ExitCode => exitCode;
}
