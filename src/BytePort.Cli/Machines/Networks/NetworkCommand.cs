using System.CommandLine;
using System.Net.Http.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines.Networks;

/// <summary><c>network</c>: the team's private networks.</summary>
internal static class NetworkCommand
{
    private const string Path = "api/v1/networks";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    public static Command Create(CliHost host) => new("network", "Private networks, which machines by themselves can have cards in.")
    {
        CreateList(host), CreateCreate(host), CreateRemove(host),
    };

    private static Command CreateList(CliHost host)
    {
        var command = new Command("ls", "List the team's private networks.");
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var networks = (await client.GetAsync(Path, ApiJson.Default.PageMachineNetwork, cancellationToken)).Items;
            if (arguments.Json)
                host.Json(networks, ApiJson.Default.IReadOnlyListMachineNetwork);
            else if (networks.Count == 0)
                host.Note("No private networks. Make one with: byteport network create NAME");
            else
                host.Table(["NAME", "ADDRESSES", "ROUTER", "MACHINES"], networks.Select(network => (string[])[network.Name, network.Prefix, network.Router ?? "", string.Join(' ', network.Machines)]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateCreate(CliHost host)
    {
        var name = CreateName();
        var command = new Command("create", "Make a private network.") { name };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var network = await client.PostAsync(
                Path, JsonContent.Create(new NetworkRequest(arguments.GetValue(name)!), ApiJson.Default.NetworkRequest), ApiJson.Default.MachineNetwork, Limit, cancellationToken);
            if (arguments.Json)
                host.Json(network, ApiJson.Default.MachineNetwork);
            else
                host.Note($"Made network {network.Name} with the addresses {network.Prefix}. A machine gets a card in it by: interface = [\"default\", \"{network.Name}\"]");
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateRemove(CliHost host)
    {
        var name = CreateName();
        var command = new Command("rm", "Remove a private network that no machine is in.") { name };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var gone = arguments.GetValue(name)!;
            await client.SendAsync(HttpMethod.Delete, $"{Path}/{Uri.EscapeDataString(gone)}", cancellationToken);
            host.Note($"Removed network {gone}.");
            return ExitCode.Ok;
        });
        return command;
    }

    private static Argument<string> CreateName() => new("NAME") { Description = "1 to 39 of a-z, 0-9 and -, a letter first." };
}
