namespace NanoVms.Machines;

/// <summary>A process to run in a guest.</summary>
public sealed record ProcessSpec
{
    /// <summary>Program and arguments; the program is looked up in the guest's PATH when it holds no slash.</summary>
    public required IReadOnlyList<string> Command { get; init; }

    /// <summary>Values reach the process exactly as they are here.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    public string WorkingDirectory { get; init; } = "/";

    public uint User { get; init; }

    public uint Group { get; init; }

    /// <summary>
    /// User, or user:group, by names or numbers as the guest's <c>/etc/passwd</c> and <c>/etc/group</c> have them, in place of
    /// <see cref="User"/> and <see cref="Group"/>. Without a group it is the user's own, with all that the user is a member of.
    /// HOME is set when it is missing. Null for the numbers above.
    /// </summary>
    public string? Account { get; init; }

    /// <summary>At most one of each kind; the others are the agent's own: 65536 open files, else what the kernel gives.</summary>
    public IReadOnlyList<ResourceLimit> Limits { get; init; } = [];

    /// <summary>Runs on a terminal of this size, which is its input and both its outputs; null for pipes.</summary>
    public TerminalSize? Terminal { get; init; }

    /// <summary>True keeps its standard input open for what is written to it; else it is <c>/dev/null</c>. A terminal always has input.</summary>
    public bool HasInput { get; init; }

    /// <summary>True when only agents of protocol 2 and later can do this.</summary>
    internal bool NeedsProtocol2 => Account is not null || Limits.Count > 0 || Terminal is not null || HasInput;
}
