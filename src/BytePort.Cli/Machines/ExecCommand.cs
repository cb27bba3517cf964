using System.CommandLine;
using System.Net.Http.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary><c>machine exec</c> and <c>machine attach</c>: processes in a machine, with this terminal or these pipes.</summary>
internal static class ExecCommand
{
    private const int BySignal = 128;

    public static Command CreateExec(CliHost host)
    {
        var id = MachineCommand.CreateId();
        var words = new Argument<string[]>("COMMAND") { Arity = ArgumentArity.OneOrMore, Description = "Program and arguments, after --." };
        var input = new Option<bool>("--interactive", "-i") { Description = "Pass standard input on." };
        var terminal = new Option<bool>("--tty", "-t") { Description = "Run it on a terminal; with --interactive for shells and editors." };
        var user = new Option<string?>("--user", "-u") { HelpName = "USER[:GROUP]", Description = "By default root." };
        var folder = new Option<string?>("--workdir", "-w") { HelpName = "DIR", Description = "By default /." };
        var variables = SpawnCommand.Variables();
        var command = new Command("exec", "Run a command in a machine; its exit code is this command's. With --json it is run to its end, at most 10 minutes, and printed as an object.")
        {
            id, words, input, terminal, user, folder, variables,
        };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            var request = new ExecRequest(
                arguments.GetValue(words)!, SpawnCommand.ReadVariables(arguments.GetValue(variables)), arguments.GetValue(folder), arguments.GetValue(user));
            using var client = Connection.Open(host);
            var path = MachineCommand.PathOf(arguments.GetValue(id)!);
            if (arguments.Json)
                return await RunToEndAsync(host, client, path, request, cancellationToken);
            if (arguments.GetValue(terminal))
            {
                if (RawTerminal.Size is null)
                    throw new CliException(ExitCode.Usage, "--tty needs a terminal on standard input.");
                request = request with { Terminal = Size(), Environment = Term(host).Concat(request.Environment ?? []).GroupBy(pair => pair.Key).ToDictionary(group => group.Key, group => group.Last().Value) };
            }

            return await ConnectAsync(host, client, path, request with { Input = arguments.GetValue(input) }, cancellationToken);
        });
        return command;
    }

    public static Command CreateAttach(CliHost host)
    {
        var id = MachineCommand.CreateId();
        var user = new Option<string?>("--user", "-u") { HelpName = "USER[:GROUP]", Description = "By default root." };
        var command = new Command("attach", "Open a shell in a machine.") { id, user };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            // A shell reads its commands from a pipe as well as from a terminal.
            var request = new ExecRequest(null, Term(host), null, arguments.GetValue(user), Terminal: RawTerminal.Size is null ? null : Size(), Input: true);
            return await ConnectAsync(host, client, MachineCommand.PathOf(arguments.GetValue(id)!), request, cancellationToken);
        });
        return command;
    }

    private static async Task<ExitCode> RunToEndAsync(CliHost host, ApiClient client, string path, ExecRequest request, CancellationToken cancellationToken)
    {
        const int Seconds = 600;
        using var content = JsonContent.Create(request with { Seconds = Seconds }, ApiJson.Default.ExecRequest);
        var result = await client.PostAsync($"{path}/exec", content, ApiJson.Default.ExecResult, TimeSpan.FromSeconds(Seconds + 60), cancellationToken);
        host.Json(result, ApiJson.Default.ExecResult);
        return CodeOf(result.ExitCode, result.Signal);
    }

    private static async Task<ExitCode> ConnectAsync(CliHost host, ApiClient client, string path, ExecRequest request, CancellationToken cancellationToken)
    {
        // For a reason that can be shown, when there is no such machine or no right to it.
        _ = await client.GetAsync(path, ApiJson.Default.Machine, cancellationToken);
        using var socket = await client.ConnectAsync($"{path}/exec", cancellationToken);
        using var connection = new ExecConnection(host, socket);
        using var raw = request.Terminal is null ? null : RawTerminal.Open();
        var end = await connection.RunAsync(request, cancellationToken);
        raw?.Dispose();
        if (end.Exit is not { } exit)
            throw new CliException(ExitCode.Failed, end.Error ?? "The server ended the connection without saying why.");
        if (exit.ExitCode is null)
            host.Note($"byteport: {exit.Reason}");
        return CodeOf(exit.ExitCode, exit.Signal);
    }

    /// <summary>As a shell has it: the process's own code, or 128 and the signal.</summary>
    private static ExitCode CodeOf(int? exitCode, int? signal) => (ExitCode)(exitCode ?? (signal is { } number ? BySignal + number : (int)ExitCode.Failed));

    private static ExecSize Size() => RawTerminal.Size is var (columns, rows) ? new(columns, rows) : new(80, 24);

    private static Dictionary<string, string> Term(CliHost host) => host.Variable("TERM") is { Length: > 0 } term ? new() { ["TERM"] = term } : [];
}
