using System.CommandLine;
using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary><c>machine inspect</c>: all that the server tells of one machine.</summary>
internal static class InspectCommand
{
    public static Command Create(CliHost host)
    {
        var id = MachineCommand.CreateId();
        var command = new Command("inspect", "Show what a machine is made of, and what it may use.") { id };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var machine = await client.GetAsync(MachineCommand.PathOf(arguments.GetValue(id)!), ApiJson.Default.Machine, cancellationToken);
            if (arguments.Json)
                host.Json(machine, ApiJson.Default.Machine);
            else
                host.Table(["WHAT", "VALUE"], Describe(machine).Where(row => row[1].Length > 0));
            return ExitCode.Ok;
        });
        return command;
    }

    private static IEnumerable<string[]> Describe(Machine machine) =>
    [
        ["id", machine.Id],
        ["name", machine.Name],
        ["description", machine.Description ?? ""],
        ["state", machine.State],
        ["reason", machine.Reason ?? ""],
        ["booted instead", machine.BootedInstead ?? ""],
        ["project", machine.Project ?? ""],
        ["service", machine.Service ?? ""],
        ["image", machine.Image ?? ""],
        ["template", machine.Template ?? ""],
        ["driver", machine.Accelerated ? $"{machine.Driver} (accelerated)" : machine.Driver ?? ""],
        ["address", machine.Address ?? ""],
        ["ports", string.Join(' ', (machine.Ports ?? []).Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Key}:{pair.Value}")))],
        ["cores", string.Create(CultureInfo.InvariantCulture, $"{machine.Cpus}")],
        ["cpu limit", machine.CpuLimit?.ToString(CultureInfo.InvariantCulture) ?? ""],
        ["memory", string.Create(CultureInfo.InvariantCulture, $"{machine.MemoryMiB} MiB")],
        ["limits", machine.Limits is null ? "" : string.Join(' ', LimitOptions.Show(machine.Limits))],
        ["nested virtualization", machine.NestedVirtualization ? "yes" : ""],
        ["started", machine.StartedAt?.ToString("u", CultureInfo.InvariantCulture) ?? ""],
        ["restarts", machine.Restarts == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{machine.Restarts}")],
    ];
}
