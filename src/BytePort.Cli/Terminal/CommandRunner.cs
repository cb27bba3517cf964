using System.CommandLine;
using BytePort.Cli.Api;

namespace BytePort.Cli.Terminal;

/// <summary>What was typed, with the options that every command has.</summary>
internal sealed class CommandArguments(ParseResult parsed)
{
    public bool Json => parsed.GetValue(CommandRunner.Json);

    public T? GetValue<T>(Option<T> option) => parsed.GetValue(option);

    public T? GetValue<T>(Argument<T> argument) => parsed.GetValue(argument);

    public bool Has(Option option) => parsed.GetResult(option) is { Implicit: false };
}

/// <summary>Runs a command's work and turns every expected failure into one line and an exit code.</summary>
internal static class CommandRunner
{
    /// <summary>Known to every command.</summary>
    public static Option<bool> Json { get; } = new("--json") { Recursive = true, Description = "Print the result as JSON on standard output." };

    public static void Runs(this Command command, CliHost host, Func<CommandArguments, CancellationToken, Task<ExitCode>> work) =>
        command.SetAction(async (parsed, _) => (int)await RunAsync(host, new CommandArguments(parsed), work));

    private static async Task<ExitCode> RunAsync(CliHost host, CommandArguments arguments, Func<CommandArguments, CancellationToken, Task<ExitCode>> work)
    {
        try
        {
            return await work(arguments, host.Interrupts.First);
        }
        catch (CliException exception)
        {
            host.Note($"byteport: {exception.Message}");
            return exception.ExitCode;
        }
        catch (ApiException exception)
        {
            host.Note($"byteport: {exception.Message}");
            return exception.ExitCode;
        }
        catch (OperationCanceledException) when (host.Interrupts.First.IsCancellationRequested)
        {
            host.Note("byteport: interrupted");
            return ExitCode.Interrupted;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            host.Note($"byteport: {exception.Message}");
            return ExitCode.Failed;
        }
    }
}
