namespace BytePort.Builds.Logs;

/// <summary>One line of a build's log, without its line end.</summary>
/// <param name="IsError">True for a program's standard error and for the platform's lines that say why a step failed.</param>
public sealed record BuildLogLine(BuildLogSource Source, bool IsError, string Text);

public enum BuildLogSource
{
    Platform = 0,
    Output,
    Error,
}

/// <summary>How much program output a log takes.</summary>
public sealed record BuildLogLimits
{
    public int MaxLines { get; init; } = 50_000;

    /// <summary>Characters, all lines together.</summary>
    public long MaxBytes { get; init; } = 16L * 1024 * 1024;
}
