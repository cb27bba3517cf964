using System.CommandLine;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Machines.Templates;
using BytePort.Cli.Terminal;
using BytePort.Manifest.Hac;

namespace BytePort.Cli.Machines;

/// <summary><c>machine spawn</c>: starts what a hac.toml or a template describes.</summary>
internal static class SpawnCommand
{
    /// <summary>The first machine of a stack waits for its image.</summary>
    private static readonly TimeSpan AnswerTime = TimeSpan.FromMinutes(10);

    public static Command Create(CliHost host)
    {
        var file = new Option<string>("--file", "-f") { HelpName = "FILE", DefaultValueFactory = _ => HacFile.FileName, Description = "The description of the machine." };
        var template = new Option<string>("--template", "-t") { HelpName = "DIR|NAME", Description = "In place of a file: a template's folder, which is pushed first, or the name of one of the team's." };
        var name = new Option<string>("--name") { HelpName = "NAME", Description = "The machine's name, by default the file's." };
        var driver = new Option<string>("--driver") { HelpName = "NAME", Description = "What it runs on, by default what the file says; 'machine drivers' lists them." };
        var type = new Option<string>("--type") { HelpName = "TYPE", Description = "auto, microvm or q35, by default what the file says." };
        var variables = Variables();
        var publish = new Option<string[]>("--publish", "-p") { HelpName = "HOST:GUEST", Description = "A TCP port of the host (1024 and up) that leads to one of the machine's; may be given again." };
        var limit = LimitOptions.Limits();
        var nested = LimitOptions.NestedVirtualization();
        var console = new Option<bool>("--console") { Description = "Show its console from the first line of the boot on, until Ctrl-C, which leaves it running, or its end." };
        var dryRun = new Option<bool>("--dry-run") { Description = "Check everything and start nothing." };
        var main = new Argument<string[]>("COMMAND") { Arity = ArgumentArity.ZeroOrMore, Description = "After --: the main process of a stack, by default none; arguments for an image's entry point, by default its own." };
        var command = new Command("spawn", "Start a machine and print its id.") { main, file, template, name, driver, type, variables, publish, limit, nested, console, dryRun };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            if (arguments.GetValue(template) is not null && arguments.Has(file))
                throw new CliException(ExitCode.Usage, "Give either --file or --template.");
            using var client = Connection.Open(host);
            var description = arguments.GetValue(template) is { } wanted
                ? await FromTemplateAsync(host, client, wanted, arguments.Json, cancellationToken)
                : await FromFileAsync(host, arguments.GetValue(file)!, arguments.Json, cancellationToken);
            if (description is null)
                return ExitCode.Failed;
            var request = description with
            {
                Name = arguments.GetValue(name) ?? description.Name,
                Driver = arguments.GetValue(driver) ?? description.Driver,
                MachineType = arguments.GetValue(type) ?? description.MachineType,
                Command = arguments.GetValue(main) is { Length: > 0 } words ? words : null,
                Environment = ReadVariables(arguments.GetValue(variables)),
                Ports = ReadPorts(arguments.GetValue(publish), description.Ports),
                Limits = LimitOptions.Read(arguments.GetValue(limit))?.Or(description.Limits ?? new()) ?? description.Limits,
                NestedVirtualization = arguments.GetValue(nested) ? true : description.NestedVirtualization,
                BootMessages = arguments.GetValue(console) ? true : null,
                DryRun = arguments.GetValue(dryRun),
            };
            using var content = JsonContent.Create(request, ApiJson.Default.SpawnRequest);
            if (request.DryRun)
            {
                await client.PostAsync("api/v1/machines", content, AnswerTime, cancellationToken);
                host.Note($"{request.Name ?? request.Template} can be started.");
                return ExitCode.Ok;
            }

            if (arguments.GetValue(console))
                return await WithConsoleAsync(host, client, content, arguments.Json, cancellationToken);
            var machine = await client.PostAsync("api/v1/machines", content, ApiJson.Default.Machine, AnswerTime, cancellationToken);
            if (arguments.Json)
                host.Json(machine, ApiJson.Default.Machine);
            else
                host.Result(machine.Id);
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>The console is standard output then, and the id is said beside it.</summary>
    private static async Task<ExitCode> WithConsoleAsync(CliHost host, ApiClient client, HttpContent content, bool json, CancellationToken cancellationToken)
    {
        var printer = new ConsolePrinter(host, json);
        Machine? machine = null;
        await foreach (var item in client.PostForEventsAsync("api/v1/machines", content, AnswerTime, cancellationToken))
        {
            if (item.EventType == "console")
                printer.Show(item.Data);
            else if (item.EventType == "machine")
                machine = JsonSerializer.Deserialize(item.Data, ApiJson.Default.Machine);
            else if (item.EventType == "problem" && JsonSerializer.Deserialize(item.Data, ApiJson.Default.Problem) is { } problem)
            {
                printer.Finish();
                throw new CliException(ExitCode.Failed, $"{problem.Title?.TrimEnd('.')}: {problem.Detail} ({problem.Code})");
            }
        }

        if (machine is null)
            throw new CliException(ExitCode.Failed, "The server ended the connection without saying what became of the machine. 'byteport machine ls' lists those that run.");
        if (json)
            host.Json(machine, ApiJson.Default.Machine);
        else
            host.Note($"byteport: machine {machine.Id} runs.");
        await ConsoleCommand.FollowAsync(host, client, $"{MachineCommand.PathOf(machine.Id)}/console", printer, cancellationToken);
        return ExitCode.Ok;
    }

    private static async Task<SpawnRequest?> FromTemplateAsync(CliHost host, ApiClient client, string wanted, bool json, CancellationToken cancellationToken)
    {
        // A folder by its path, a stored one by its name: what is both is the folder.
        var name = wanted;
        if (wanted.Contains('/', StringComparison.Ordinal) || wanted is "." or ".." || Directory.Exists(Path.GetFullPath(wanted, host.Folder)))
        {
            if (await TemplateCommand.PushAsync(host, client, wanted, null, replaceData: false, json, cancellationToken) is not { } pushed)
                return null;
            name = pushed.Name;
        }

        return new SpawnRequest(null, null, null, null, null, null, null, null, null, null, null, null, false) { Template = name };
    }

    private static async Task<SpawnRequest?> FromFileAsync(CliHost host, string name, bool json, CancellationToken cancellationToken)
    {
        var path = Path.GetFullPath(name, host.Folder);
        if (!File.Exists(path))
            throw new CliException(ExitCode.NotFound, $"There is no {name}. Write one with: byteport machine new");
        if (await TemplateCommand.ReadAsync(host, path, name, json, cancellationToken) is not { } file)
            return null;
        return new SpawnRequest(
            file.Name, file.Ref?.Text, file.Description, file.Cores, file.MemoryMiB, file.DriveBytes, file.Kernel, file.Interfaces, file.Driver, null, null, file.Ports.Count > 0 ? file.Ports : null, false)
        {
            Os = file.Os,
            Routes = file.Routes.Count > 0 ? file.Routes : null,
            MachineType = file.MachineType == HacFile.Auto ? null : file.MachineType,
            Persistent = file.IsPersistent ? true : null,
            PciDevices = file.PciDevices.Count > 0 ? file.PciDevices : null,
            PciKinds = file.PciKinds.Count > 0 ? file.PciKinds : null,
            NestedVirtualization = file.NestedVirtualization ? true : null,
            Limits = file.Limits.HasAny() ? file.Limits : null,
        };
    }

    public static Option<string[]> Variables() => new("--env", "-e") { HelpName = "NAME=VALUE", Description = "A variable of the environment; may be given again." };

    public static Dictionary<string, string>? ReadVariables(string[]? texts)
    {
        if (texts is not { Length: > 0 })
            return null;
        var variables = new Dictionary<string, string>();
        foreach (var text in texts)
        {
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals < 1)
                throw new CliException(ExitCode.Usage, $"--env {text} is not NAME=VALUE.");
            variables[text[..equals]] = text[(equals + 1)..];
        }

        return variables;
    }

    private static IReadOnlyDictionary<int, int>? ReadPorts(string[]? texts, IReadOnlyDictionary<int, int>? ofFile)
    {
        if (texts is not { Length: > 0 })
            return ofFile;
        var ports = new Dictionary<int, int>();
        foreach (var text in texts)
        {
            if (text.Split(':') is not [var host, var guest] || !ushort.TryParse(host, NumberStyles.None, CultureInfo.InvariantCulture, out var from)
                || !ushort.TryParse(guest, NumberStyles.None, CultureInfo.InvariantCulture, out var to))
                throw new CliException(ExitCode.Usage, $"--publish {text} is not HOST:GUEST, such as 8081:80.");
            if (!ports.TryAdd(from, to))
                throw new CliException(ExitCode.Usage, $"--publish {text}: the port {from} is there twice.");
        }

        foreach (var (host, guest) in ofFile ?? new Dictionary<int, int>())
            _ = ports.TryAdd(host, guest);
        return ports;
    }
}
