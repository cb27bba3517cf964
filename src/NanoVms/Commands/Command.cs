namespace NanoVms.Commands;

/// <summary>A host program to run, as an argument list: no shell ever reads it.</summary>
/// <param name="Program">Name looked up in the standard system folders and <c>PATH</c>, or an absolute path.</param>
/// <param name="Arguments">Passed to the program exactly as they are.</param>
public sealed record Command(string Program, IReadOnlyList<string> Arguments)
{
    public Command(string program, params string[] arguments)
        : this(program, (IReadOnlyList<string>)arguments)
    {
    }

    /// <summary>Folder the program starts in; the caller's when null.</summary>
    public string? WorkingDirectory { get; init; }

    /// <summary>Added to a minimal environment (PATH, HOME, LANG). Nothing else of the caller's environment is passed on.</summary>
    public IReadOnlyDictionary<string, string>? Environment { get; init; }

    /// <summary>Text for the program's standard input, which is empty and closed when null.</summary>
    public string? StandardInput { get; init; }

    /// <summary>The program and all it started are killed after this time. Default two minutes.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>
    /// Bytes kept of each output stream: the first ones of standard output, the last ones of standard error.
    /// The rest is read and dropped. Default 1 MiB.
    /// </summary>
    public int MaxOutputBytes { get; init; } = 1024 * 1024;

    /// <summary>The command for people: quoted where a shell would need it. Never executed.</summary>
    public override string ToString() =>
        string.Join(' ', Arguments.Prepend(Program).Select(Quote));

    private static string Quote(string argument) =>
        argument.Length > 0 && argument.All(c => char.IsAsciiLetterOrDigit(c) || "-_./:=@,+%".Contains(c, StringComparison.Ordinal))
            ? argument
            : $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
