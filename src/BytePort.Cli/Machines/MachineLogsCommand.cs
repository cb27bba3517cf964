using System.CommandLine;
using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Logs;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary><c>machine logs</c>: what a machine's main process writes.</summary>
internal static class MachineLogsCommand
{
    public static Command Create(CliHost host)
    {
        var id = MachineCommand.CreateId();
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on with new lines until Ctrl-C, or until the process ends." };
        var tail = new Option<int>("--tail") { HelpName = "N", DefaultValueFactory = _ => 100, Description = "How many of the last lines to start with." };
        var command = new Command("logs", "Show what a machine's main process writes. With --json one object a line.") { id, follow, tail };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var path = string.Create(CultureInfo.InvariantCulture, $"{MachineCommand.PathOf(arguments.GetValue(id)!)}/logs?tail={Math.Max(0, arguments.GetValue(tail))}");
            void Show(LogLine line)
            {
                if (arguments.Json)
                    host.Json(line, ApiJson.Default.LogLine);
                else
                    host.Out.WriteLine(LogText.Format(line, host.Colors));
            }

            if (arguments.GetValue(follow))
                await LogStream.FollowAsync(host, client, path, Show, cancellationToken);
            else
                (await client.GetAsync(path, ApiJson.Default.LogPage, cancellationToken)).Items.ToList().ForEach(Show);
            return ExitCode.Ok;
        });
        return command;
    }
}
