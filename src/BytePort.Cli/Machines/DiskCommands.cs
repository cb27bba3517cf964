using System.CommandLine;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary><c>machine sync</c> and <c>machine disks</c>: what of a machine stays when it goes.</summary>
internal static class DiskCommands
{
    private static readonly TimeSpan SyncTime = TimeSpan.FromMinutes(6);

    public static Command CreateSync(CliHost host)
    {
        var id = MachineCommand.CreateId();
        var command = new Command("sync", "Take a machine's shared folder back to its template now; stopping it does that too.") { id };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var machine = await client.GetAsync(MachineCommand.PathOf(arguments.GetValue(id)!), ApiJson.Default.Machine, cancellationToken);
            await client.PostAsync($"{MachineCommand.PathOf(machine.Id)}/sync", null, SyncTime, cancellationToken);
            if (arguments.Json)
                host.Json(machine, ApiJson.Default.Machine);
            else
                host.Note($"Took the shared folder of {machine.Id} back to the template {machine.Template}.");
            return ExitCode.Ok;
        });
        return command;
    }

    public static Command CreateList(CliHost host)
    {
        var remove = new Option<string>("--rm") { HelpName = "NAME", Description = "Delete this one instead, with all that is on it." };
        var command = new Command("disks", "List the disks of persistent machines, or delete one.") { remove };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            if (arguments.GetValue(remove) is { } gone)
            {
                await client.SendAsync(HttpMethod.Delete, $"api/v1/disks/{Uri.EscapeDataString(gone)}", cancellationToken);
                host.Note($"Deleted disk {gone}.");
                return ExitCode.Ok;
            }

            var disks = (await client.GetAsync("api/v1/disks", ApiJson.Default.PageMachineDisk, cancellationToken)).Items;
            if (arguments.Json)
                host.Json(disks, ApiJson.Default.IReadOnlyListMachineDisk);
            else if (disks.Count == 0)
                host.Note("No disks. A machine keeps one when its hac.toml says persistent = true.");
            else
                host.Table(["NAME", "SIZE", "MACHINE", "WRITTEN"], disks.Select(disk => (string[])[disk.Name, Age.Bytes(disk.Size), disk.Machine ?? "", Age.Since(disk.WrittenAt, host.Time)]));
            return ExitCode.Ok;
        });
        return command;
    }
}
