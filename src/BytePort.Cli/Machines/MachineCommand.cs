using System.CommandLine;
using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary><c>machine</c>: machines by themselves, without a project.</summary>
internal static class MachineCommand
{
    private static readonly TimeSpan StopTime = TimeSpan.FromMinutes(11);

    public static Command Create(CliHost host) => new("machine", "Machines by themselves, described by hac.toml.")
    {
        NewCommand.Create(host),
        SpawnCommand.Create(host),
        CreateList(host),
        InspectCommand.Create(host),
        ExecCommand.CreateExec(host),
        ExecCommand.CreateAttach(host),
        MachineLogsCommand.Create(host),
        ConsoleCommand.Create(host),
        CreateStats(host),
        CreateChange(host, "pause", "Halt a machine's processors; its memory stays."),
        CreateChange(host, "resume", "Let a paused machine run again."),
        CreateChange(host, "suspend", "Put a machine to sleep; it takes neither memory nor processor until it is woken."),
        CreateChange(host, "wake", "Let a suspended machine go on where it was."),
        SnapshotCommands.CreateSnapshot(host),
        SnapshotCommands.CreateList(host),
        SnapshotCommands.CreateRestore(host),
        SnapshotCommands.CreateClone(host),
        CreateStop(host),
        CreateRemove(host),
        DiskCommands.CreateSync(host),
        DiskCommands.CreateList(host),
        SystemCommand.Create(host),
        PciCommand.Create(host),
        CreateDrivers(host),
    };

    public static Argument<string> CreateId() => new("ID") { Description = "The machine's id." };

    public static string PathOf(string id) => $"api/v1/machines/{Uri.EscapeDataString(id)}";

    /// <summary>What was saved is lost, and a machine that booted is there: nobody should have to find out by himself.</summary>
    public static void NoteBoot(CliHost host, Machine machine)
    {
        if (machine.BootedInstead is { } reason)
            host.Note($"{machine.Id} was booted with its saved disk instead: {reason}");
    }

    private static Command CreateList(CliHost host)
    {
        var command = new Command("ls", "List the machines by themselves.");
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            IReadOnlyList<Machine> machines =
                [.. (await Pages.ReadAsync(client, "api/v1/machines", ApiJson.Default.PageMachine, int.MaxValue, cancellationToken)).Where(machine => machine.Image is not null)];
            if (arguments.Json)
                host.Json(machines, ApiJson.Default.IReadOnlyListMachine);
            else if (machines.Count == 0)
                host.Note("No machines by themselves. Start one with: byteport machine spawn -f hac.toml");
            else
                host.Table(["ID", "NAME", "STATE", "IMAGE", "DRIVER", "ADDRESS", "PORTS", "SIZE", "STARTED"], machines.Select(machine => (string[])
                [
                    machine.Id,
                    machine.Name,
                    machine.State,
                    machine.Image!,
                    machine.Accelerated ? $"{machine.Driver} (accelerated)" : machine.Driver ?? "",
                    machine.Address ?? "",
                    string.Join(' ', (machine.Ports ?? []).Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Key}:{pair.Value}"))),
                    string.Create(CultureInfo.InvariantCulture, $"{machine.Cpus} CPU, {machine.MemoryMiB} MiB"),
                    machine.StartedAt is { } started ? Age.Since(started, host.Time) : "",
                ]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateStats(CliHost host)
    {
        var id = CreateId();
        var command = new Command("stats", "Show what a machine uses.") { id };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var stats = await client.GetAsync($"{PathOf(arguments.GetValue(id)!)}/stats", ApiJson.Default.MachineStats, cancellationToken);
            if (arguments.Json)
                host.Json(stats, ApiJson.Default.MachineStats);
            else
                host.Table(["CPU TIME", "UP", "MEMORY", "DISK", "RECEIVED", "SENT"], [[
                    Seconds(stats.CpuSeconds),
                    Seconds(stats.UptimeSeconds),
                    $"{Size(stats.MemoryUsed)} of {Size(stats.MemoryTotal)}",
                    $"{Size(stats.DiskUsed)} of {Size(stats.DiskTotal)}",
                    Size(stats.NetworkReceived),
                    Size(stats.NetworkSent),
                ]]);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateChange(CliHost host, string name, string description)
    {
        var id = CreateId();
        var command = new Command(name, description) { id };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var machine = await client.PostAsync($"{PathOf(arguments.GetValue(id)!)}/{name}", null, ApiJson.Default.Machine, cancellationToken);
            if (arguments.Json)
                host.Json(machine, ApiJson.Default.Machine);
            else
                host.Note($"{machine.Id} is {machine.State}.");
            if (name == "wake")
                NoteBoot(host, machine);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateStop(CliHost host)
    {
        var id = CreateId();
        var grace = new Option<int>("--grace") { HelpName = "SECONDS", DefaultValueFactory = _ => 30, Description = "How long the main process may take to end, at most 600." };
        var command = new Command("stop", "Ask a machine's main process to end, then remove the machine.") { id, grace };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var machine = await client.GetAsync(PathOf(arguments.GetValue(id)!), ApiJson.Default.Machine, cancellationToken);
            var path = string.Create(CultureInfo.InvariantCulture, $"{PathOf(machine.Id)}/stop?grace={arguments.GetValue(grace)}");
            await client.PostAsync(path, null, StopTime, cancellationToken);
            return Removed(host, arguments, machine);
        });
        return command;
    }

    private static Command CreateRemove(CliHost host)
    {
        var id = CreateId();
        var command = new Command("rm", "End a machine at once and remove it.") { id };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var machine = await client.GetAsync(PathOf(arguments.GetValue(id)!), ApiJson.Default.Machine, cancellationToken);
            await client.SendAsync(HttpMethod.Delete, PathOf(machine.Id), cancellationToken);
            return Removed(host, arguments, machine);
        });
        return command;
    }

    private static ExitCode Removed(CliHost host, CommandArguments arguments, Machine machine)
    {
        if (arguments.Json)
            host.Json(machine with { State = "stopped" }, ApiJson.Default.Machine);
        else
            host.Note($"Removed {machine.Id} ({machine.Name}).");
        return ExitCode.Ok;
    }

    private static Command CreateDrivers(CliHost host)
    {
        var command = new Command("drivers", "Say what machines can run on here, and why not.");
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var drivers = (await client.GetAsync("api/v1/machines/drivers", ApiJson.Default.PageMachineDriver, cancellationToken)).Items;
            if (arguments.Json)
                host.Json(drivers, ApiJson.Default.IReadOnlyListMachineDriver);
            else
                host.Table(["DRIVER", "USABLE", "ACCELERATED", "WHY"], drivers.Select(driver => (string[])
                    [driver.Name, driver.Usable ? "yes" : "no", driver.Accelerated ? "yes" : "no", driver.Reason]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static string Seconds(double seconds) => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s");

    private static string Size(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0.0} MiB");
}
