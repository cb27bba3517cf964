using System.CommandLine;
using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary><c>machines</c>: every machine that runs, whose it is, and how.</summary>
internal static class MachinesCommand
{
    public static Command Create(CliHost host)
    {
        var command = new Command("machines", "List the machines.");
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var machines = await Pages.ReadAsync(client, "api/v1/machines", ApiJson.Default.PageMachine, int.MaxValue, cancellationToken);
            if (arguments.Json)
                host.Json(machines, ApiJson.Default.IReadOnlyListMachine);
            else if (machines.Count == 0)
                host.Note("No machines run.");
            else
                host.Table(["MACHINE", "PROJECT", "SERVICE", "STATE", "DRIVER", "ADDRESS", "SIZE", "STARTED"], machines.Select(machine => (string[])
                [
                    machine.Name,
                    machine.Deployment is { } number ? string.Create(CultureInfo.InvariantCulture, $"{machine.Project} #{number}") : machine.Project ?? "",
                    machine.Service ?? "",
                    machine.Restarts == 0 ? machine.State : string.Create(CultureInfo.InvariantCulture, $"{machine.State}, {machine.Restarts} restarts"),
                    machine.Accelerated ? $"{machine.Driver} (accelerated)" : machine.Driver ?? "",
                    machine.Address ?? "",
                    string.Create(CultureInfo.InvariantCulture, $"{machine.CpuLimit ?? machine.Cpus} CPU, {machine.MemoryMiB} MiB"),
                    machine.StartedAt is { } started ? Age.Since(started, host.Time) : "",
                ]));
            return ExitCode.Ok;
        });
        return command;
    }
}
