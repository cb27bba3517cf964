namespace BytePort.Builds.Logs;

/// <summary>
/// Where a step says what it does. Thread safe. Lines of programs are limited in number and size (they come from
/// outside); the platform's own lines always pass.
/// </summary>
public sealed class BuildLog
{
    private const string Mask = "[secret]";

    private readonly Lock _gate = new();
    private readonly Action<BuildLogLine> _sink;
    private readonly BuildLogLimits _limits;
    private readonly string[] _secrets;
    private long _lines;
    private long _bytes;
    private bool _full;

    /// <param name="sink">Called once per line, never at the same time by two threads; should be quick.</param>
    /// <param name="limits">Limits of program output; the defaults when null.</param>
    /// <param name="secrets">Values to mask wherever they occur; those shorter than 4 characters are not looked for.</param>
    public BuildLog(Action<BuildLogLine> sink, BuildLogLimits? limits = null, IEnumerable<string>? secrets = null)
    {
        ArgumentNullException.ThrowIfNull(sink);
        _sink = sink;
        _limits = limits ?? new BuildLogLimits();
        _secrets = [.. (secrets ?? []).Where(secret => secret.Length >= 4).OrderByDescending(secret => secret.Length)];
    }

    /// <summary>A log that nobody reads.</summary>
    public static BuildLog None { get; } = new(_ => { });

    /// <summary>A line of the platform's own; <paramref name="isError"/> marks what made the step fail.</summary>
    public void Write(string line, bool isError = false)
    {
        ArgumentNullException.ThrowIfNull(line);
        lock (_gate)
            _sink(new BuildLogLine(BuildLogSource.Platform, isError, Clean(line)));
    }

    /// <summary>A line that a program wrote. Past the limits one notice is written and the rest is dropped.</summary>
    public void WriteOutput(string line, bool isError = false)
    {
        ArgumentNullException.ThrowIfNull(line);
        lock (_gate)
        {
            if (_full)
                return;
            if (_lines >= _limits.MaxLines || _bytes + line.Length > _limits.MaxBytes)
            {
                _full = true;
                _sink(new BuildLogLine(
                    BuildLogSource.Platform,
                    false,
                    $"The output passed the limit of {_limits.MaxLines:N0} lines or {_limits.MaxBytes / 1024 / 1024} MiB: the rest is not kept, the step goes on."));
                return;
            }

            _lines++;
            _bytes += line.Length;
            _sink(new BuildLogLine(isError ? BuildLogSource.Error : BuildLogSource.Output, isError, Clean(line)));
        }
    }

    private string Clean(string line)
    {
        foreach (var secret in _secrets)
            line = line.Replace(secret, Mask, StringComparison.Ordinal);

        // NUL cannot be stored in PostgreSQL's text, and other control characters would let a build forge a terminal's state.
        return line.AsSpan().IndexOfAnyInRange('\0', '\u001f') < 0
            ? line
            : string.Concat(line.Where(c => c is '\t' or '\u001b' || !char.IsControl(c)));
    }
}
