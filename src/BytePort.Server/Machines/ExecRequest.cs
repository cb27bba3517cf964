using System.Text;
using NanoVms.Machines;

namespace BytePort.Server.Machines;

/// <summary>A process that somebody wants in a machine.</summary>
/// <param name="Command">Program and arguments; a login shell when it is left out.</param>
/// <param name="Environment">On top of the machine's own.</param>
/// <param name="WorkingDirectory">Default /.</param>
/// <param name="Account">A user, or user:group, of the machine; default root.</param>
/// <param name="Seconds">Without a WebSocket: how long it may take.</param>
/// <param name="Terminal">With a WebSocket: run it on a terminal of this size.</param>
/// <param name="Input">With a WebSocket: keep its standard input open.</param>
internal sealed record ExecRequest(
    IReadOnlyList<string?>? Command,
    IReadOnlyDictionary<string, string?>? Environment,
    string? WorkingDirectory,
    string? Account,
    int? Seconds,
    ExecSize? Terminal,
    bool? Input)
{
    private const int MaxParts = 256;
    private const int MaxBytes = 64 * 1024;

    /// <summary>bash where there is one.</summary>
    private static readonly string[] Shell = ["/bin/sh", "-c", "if command -v bash >/dev/null; then exec bash -l; fi; exec sh -l"];

    /// <exception cref="MachineFaultException">A value is wrong.</exception>
    public ProcessSpec ToProcess()
    {
        var command = Command is { Count: > 0 } ? Command.Select(argument => argument ?? "").ToArray() : Shell;
        var environment = (Environment ?? new Dictionary<string, string?>()).ToDictionary(pair => pair.Key, pair => pair.Value ?? "");
        var texts = command.Concat(environment.Keys).Concat(environment.Values).Append(WorkingDirectory ?? "").Append(Account ?? "").ToList();
        if (command[0].Length == 0)
            throw Wrong("The command's program is empty.");
        if (command.Length > MaxParts || environment.Count > MaxParts || texts.Sum(Encoding.UTF8.GetByteCount) > MaxBytes)
            throw Wrong($"A command and its environment may have {MaxParts} parts each and {MaxBytes / 1024} KiB together.");
        if (texts.Any(text => text.Contains('\0', StringComparison.Ordinal)))
            throw Wrong("A value holds a zero.");
        if (environment.Keys.Any(name => name.Length == 0 || name.Contains('=', StringComparison.Ordinal)))
            throw Wrong("A variable's name is empty or holds an equals sign.");
        if (WorkingDirectory is { } folder && !folder.StartsWith('/'))
            throw Wrong($"The working directory '{folder}' is not absolute.");
        return new()
        {
            Command = command,
            Environment = environment,
            WorkingDirectory = WorkingDirectory ?? "/",
            Account = string.IsNullOrEmpty(Account) ? null : Account,
            Terminal = Terminal?.ToSize(),
            HasInput = Input is true,
        };
    }

    private static MachineFaultException Wrong(string message) => new(MachineFault.Invalid, message);
}

/// <summary>Of a terminal, in characters.</summary>
internal sealed record ExecSize(int Columns, int Rows)
{
    public TerminalSize ToSize() => new(Math.Clamp(Columns, 1, 65535), Math.Clamp(Rows, 1, 65535));
}
