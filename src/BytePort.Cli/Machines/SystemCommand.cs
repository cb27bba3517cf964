using System.CommandLine;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary><c>machine os</c>: the catalogue of operating systems.</summary>
internal static class SystemCommand
{
    public static Command Create(CliHost host) => new("os", "Operating systems that a machine can be made of, as os = \"debian-12\" in its hac.toml.") { CreateList(host) };

    private static Command CreateList(CliHost host)
    {
        var command = new Command("ls", "List them with where each comes from and how it is verified.");
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var systems = (await client.GetAsync("api/v1/machines/systems", ApiJson.Default.PageMachineSystem, cancellationToken)).Items;
            if (arguments.Json)
                host.Json(systems, ApiJson.Default.IReadOnlyListMachineSystem);
            else
                host.Table(["NAME", "TITLE", "HERE", "FROM", "VERIFIED BY"], systems.Select(system => (string[])
                    [system.Name, system.Title, system.IsHere ? "yes" : "no", system.Location, system.Verification]));
            return ExitCode.Ok;
        });
        return command;
    }
}
