using System.CommandLine;
using System.Globalization;
using System.Net.Http.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary><c>machine snapshot</c>, <c>snapshots</c>, <c>restore</c>, <c>clone</c>: a machine saved, and started from that as often as wanted.</summary>
internal static class SnapshotCommands
{
    private static readonly TimeSpan AnswerTime = TimeSpan.FromMinutes(5);

    public static Command CreateSnapshot(CliHost host)
    {
        var id = MachineCommand.CreateId();
        var parent = new Option<string>("--parent") { HelpName = "SNAPSHOT", Description = "Keep only what differs from this snapshot, which must then stay." };
        var command = new Command("snapshot", "Save a machine and print the snapshot's id; the machine goes on.") { id, parent };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var snapshot = await TakeAsync(client, arguments.GetValue(id)!, arguments.GetValue(parent), cancellationToken);
            if (arguments.Json)
                host.Json(snapshot, ApiJson.Default.MachineSnapshot);
            else
                host.Result(snapshot.Id);
            return ExitCode.Ok;
        });
        return command;
    }

    public static Command CreateList(CliHost host)
    {
        var remove = new Option<string>("--rm") { HelpName = "SNAPSHOT", Description = "Delete this one instead." };
        var command = new Command("snapshots", "List the snapshots of machines, or delete one.") { remove };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            if (arguments.GetValue(remove) is { } gone)
            {
                await client.SendAsync(HttpMethod.Delete, PathOf(gone), cancellationToken);
                host.Note($"Deleted snapshot {gone}.");
                return ExitCode.Ok;
            }

            var snapshots = await Pages.ReadAsync(client, "api/v1/snapshots", ApiJson.Default.PageMachineSnapshot, int.MaxValue, cancellationToken);
            if (arguments.Json)
                host.Json(snapshots, ApiJson.Default.IReadOnlyListMachineSnapshot);
            else if (snapshots.Count == 0)
                host.Note("No snapshots. Take one with: byteport machine snapshot ID");
            else
                host.Table(["ID", "MACHINE", "DRIVER", "SIZE", "ON DISK", "PARENT", "TAKEN"], snapshots.Select(snapshot => (string[])
                [
                    snapshot.Id,
                    snapshot.Name,
                    snapshot.Driver,
                    string.Create(CultureInfo.InvariantCulture, $"{snapshot.Cpus} CPU, {snapshot.MemoryMiB} MiB"),
                    string.Create(CultureInfo.InvariantCulture, $"{snapshot.Bytes / 1e6:0} MB"),
                    snapshot.Parent ?? "",
                    Age.Since(snapshot.CreatedAt, host.Time),
                ]));
            return ExitCode.Ok;
        });
        return command;
    }

    public static Command CreateRestore(CliHost host)
    {
        var snapshot = new Argument<string>("SNAPSHOT") { Description = "The snapshot's id." };
        var name = CreateName();
        var count = CreateCount();
        var command = new Command("restore", "Start machines from a snapshot and print their ids.") { snapshot, name, count };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            return await RestoreAsync(host, client, arguments, arguments.GetValue(snapshot)!, arguments.GetValue(name), arguments.GetValue(count), cancellationToken);
        });
        return command;
    }

    public static Command CreateClone(CliHost host)
    {
        var id = MachineCommand.CreateId();
        var name = CreateName();
        var count = CreateCount();
        var command = new Command("clone", "Start copies of a running machine, with all that it has in memory, and print their ids.") { id, name, count };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var snapshot = await TakeAsync(client, arguments.GetValue(id)!, null, cancellationToken);
            try
            {
                return await RestoreAsync(host, client, arguments, snapshot.Id, arguments.GetValue(name), arguments.GetValue(count), cancellationToken);
            }
            finally
            {
                await client.SendAsync(HttpMethod.Delete, PathOf(snapshot.Id), CancellationToken.None);
            }
        });
        return command;
    }

    private static Task<MachineSnapshot> TakeAsync(ApiClient client, string id, string? parent, CancellationToken cancellationToken) =>
        client.PostAsync($"{MachineCommand.PathOf(id)}/snapshots{(parent is null ? "" : $"?parent={Uri.EscapeDataString(parent)}")}", null, ApiJson.Default.MachineSnapshot, AnswerTime, cancellationToken);

    private static async Task<ExitCode> RestoreAsync(
        CliHost host, ApiClient client, CommandArguments arguments, string snapshot, string? name, int count, CancellationToken cancellationToken)
    {
        using var content = JsonContent.Create(new RestoreRequest(name, count), ApiJson.Default.RestoreRequest);
        var machines = (await client.PostAsync($"{PathOf(snapshot)}/restore", content, ApiJson.Default.PageMachine, AnswerTime, cancellationToken)).Items;
        foreach (var machine in machines)
            MachineCommand.NoteBoot(host, machine);
        if (arguments.Json)
            host.Json(machines, ApiJson.Default.IReadOnlyListMachine);
        else
            machines.ToList().ForEach(machine => host.Result(machine.Id));
        return ExitCode.Ok;
    }

    private static Option<string> CreateName() => new("--name") { HelpName = "NAME", Description = "Name of the machines, by default that of the saved one." };

    private static Option<int> CreateCount() => new("--count") { HelpName = "N", DefaultValueFactory = _ => 1, Description = "How many, at most 20." };

    private static string PathOf(string snapshot) => $"api/v1/snapshots/{Uri.EscapeDataString(snapshot)}";
}
