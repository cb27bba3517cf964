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
}
