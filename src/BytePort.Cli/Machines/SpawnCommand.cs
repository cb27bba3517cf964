using System.CommandLine;
using System.Globalization;
using System.Net.Http.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Manifests;
using BytePort.Cli.Terminal;
using BytePort.Manifest.Hac;

namespace BytePort.Cli.Machines;

/// <summary><c>machine spawn</c>: starts what a hac.toml describes.</summary>
internal static class SpawnCommand
{
    /// <summary>The first machine of a stack waits for its image.</summary>
    private static readonly TimeSpan AnswerTime = TimeSpan.FromMinutes(10);

    public static Command Create(CliHost host)
    {
        var file = new Option<string>("--file", "-f") { HelpName = "FILE", DefaultValueFactory = _ => HacFile.FileName, Description = "The description of the machine." };
        var driver = new Option<string>("--driver") { HelpName = "NAME", DefaultValueFactory = _ => "auto", Description = "What it runs on; 'machine drivers' lists them." };
        var variables = Variables();
        var publish = new Option<string[]>("--publish", "-p") { HelpName = "HOST:GUEST", Description = "A TCP port of the host (1024 and up) that leads to one of the machine's; may be given again." };
        var dryRun = new Option<bool>("--dry-run") { Description = "Check everything and start nothing." };
        var main = new Argument<string[]>("COMMAND") { Arity = ArgumentArity.ZeroOrMore, Description = "After --: the main process of a stack, by default none; arguments for an image's entry point, by default its own." };
        var command = new Command("spawn", "Start a machine and print its id.") { main, file, driver, variables, publish, dryRun };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            if (await ReadAsync(host, arguments.GetValue(file)!, arguments.Json, cancellationToken) is not { } description)
                return ExitCode.Failed;
            var request = new SpawnRequest(
                description.Name,
                description.Ref?.Text ?? "",
                description.Description,
                description.Cores,
                description.MemoryMiB,
                description.DriveBytes,
                description.Kernel,
                description.Interfaces,
                arguments.GetValue(driver)!,
                arguments.GetValue(main) is { Length: > 0 } words ? words : null,
                ReadVariables(arguments.GetValue(variables)),
                ReadPorts(arguments.GetValue(publish)),
                arguments.GetValue(dryRun));
            using var client = Connection.Open(host);
            using var content = JsonContent.Create(request, ApiJson.Default.SpawnRequest);
            if (request.DryRun)
            {
                await client.PostAsync("api/v1/machines", content, AnswerTime, cancellationToken);
                host.Note($"{request.Name} can be started.");
                return ExitCode.Ok;
            }

            var machine = await client.PostAsync("api/v1/machines", content, ApiJson.Default.Machine, AnswerTime, cancellationToken);
            if (arguments.Json)
                host.Json(machine, ApiJson.Default.Machine);
            else
                host.Result(machine.Id);
            return ExitCode.Ok;
        });
        return command;
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

    private static Dictionary<int, int>? ReadPorts(string[]? texts)
    {
        if (texts is not { Length: > 0 })
            return null;
        var ports = new Dictionary<int, int>();
        foreach (var text in texts)
        {
            if (text.Split(':') is not [var host, var guest] || !ushort.TryParse(host, NumberStyles.None, CultureInfo.InvariantCulture, out var from)
                || !ushort.TryParse(guest, NumberStyles.None, CultureInfo.InvariantCulture, out var to))
                throw new CliException(ExitCode.Usage, $"--publish {text} is not HOST:GUEST, such as 8081:80.");
            if (!ports.TryAdd(from, to))
                throw new CliException(ExitCode.Usage, $"--publish {text}: the port {from} is there twice.");
        }

        return ports;
    }

    private static async Task<HacFile?> ReadAsync(CliHost host, string name, bool json, CancellationToken cancellationToken)
    {
        var path = Path.GetFullPath(name, host.Folder);
        if (!File.Exists(path))
            throw new CliException(ExitCode.NotFound, $"There is no {name}. docs/reference/hac-toml.md has one to start from.");
        var result = await HacReader.ReadFileAsync(path, name, cancellationToken);
        if (result.File is not null)
            return result.File;
        if (json)
            host.Json(result.Errors, ManifestJson.Default.IReadOnlyListManifestError);
        else
            result.Errors.ToList().ForEach(error => host.Note(error.ToString()));
        return null;
    }
}
