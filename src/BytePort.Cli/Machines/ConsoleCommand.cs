using System.CommandLine;
using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary><c>machine console</c>: what a machine's kernel and agent write, from the first line of the boot on.</summary>
internal static class ConsoleCommand
{
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    public static Command Create(CliHost host)
    {
        var id = MachineCommand.CreateId();
        var once = new Option<bool>("--once") { Description = "Show what is kept and end." };
        var command = new Command("console", "Show a machine's console, from the first line of its boot until Ctrl-C or its end. The first and the last 64 KiB are kept. With --json one object a piece, with the bytes in base64.") { id, once };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var printer = new ConsolePrinter(host, arguments.Json);
            var path = $"{MachineCommand.PathOf(arguments.GetValue(id)!)}/console";
            if (arguments.GetValue(once))
            {
                foreach (var piece in (await client.GetAsync(path, ApiJson.Default.ConsolePage, cancellationToken)).Items)
                    printer.Show(piece);
                printer.Finish();
                return ExitCode.Ok;
            }

            await FollowAsync(host, client, path, printer, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>Ends when the machine is gone.</summary>
    public static async Task FollowAsync(CliHost host, ApiClient client, string path, ConsolePrinter printer, CancellationToken cancellationToken)
    {
        var connected = false;
        while (true)
        {
            try
            {
                var from = string.Create(CultureInfo.InvariantCulture, $"{path}?from={printer.Next}");
                await foreach (var item in client.ReadEventsAsync(from, null, Silence, cancellationToken))
                {
                    connected = true;
                    if (item.EventType == "console")
                        printer.Show(item.Data);
                    if (item.EventType != "end")
                        continue;
                    printer.Finish();
                    return;
                }
            }
            catch (ApiException exception) when (exception.IsTransient && connected)
            {
                // The server restarts: the machine and its console stay.
            }

            await Task.Delay(Pause, host.Time, cancellationToken);
        }
    }
}
