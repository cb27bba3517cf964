namespace NanoVms.Machines;

/// <summary>A machine could not be started, reached or changed. The message says which, why and what to do.</summary>
public sealed class MachineException : Exception
{
    public MachineException(string message)
        : base(message) => Reason = message;

    public MachineException(string message, Exception? inner)
        : base(message, inner) => Reason = message;

    public MachineException(string message, string console, Exception? inner)
        : base(console.Length == 0 ? message : $"{message}\nThe guest's console ended with:\n{console}", inner)
    {
        Reason = message;
        ConsoleTail = console;
    }

    public MachineException() => Reason = Message;

    /// <summary>The cause without the console.</summary>
    public string Reason { get; }

    /// <summary>The last lines that the guest's kernel and agent wrote; empty when there were none.</summary>
    public string ConsoleTail { get; } = "";

    /// <summary>True when the same call may succeed later, unchanged (no address free, for example).</summary>
    public bool IsTransient { get; init; }
}
