namespace BytePort.Cli.Terminal;

/// <summary>What the process's exit code says; documented in docs/reference/cli.md, so numbers never change meaning.</summary>
internal enum ExitCode
{
    Ok = 0,
    Failed = 1,
    Usage = 2,
    NotSignedIn = 3,
    NotFound = 4,
    Unreachable = 5,
    Interrupted = 130,
}
