using System.CommandLine;
using System.CommandLine.Invocation;
using BytePort.Cli.Completion;
using BytePort.Cli.Deployments;
using BytePort.Cli.Images;
using BytePort.Cli.Login;
using BytePort.Cli.Logs;
using BytePort.Cli.Machines;
using BytePort.Cli.Machines.Networks;
using BytePort.Cli.Machines.Templates;
using BytePort.Cli.Manifests;
using BytePort.Cli.Projects;
using BytePort.Cli.Terminal;

namespace BytePort.Cli;

/// <summary>The commands, and the way from arguments to an exit code.</summary>
internal static class CommandLine
{
    public static RootCommand Create(CliHost host)
    {
        var root = new RootCommand("BytePort: source in, public URL out.")
        {
            DeployCommand.Create(host),
            ProjectsCommand.Create(host),
            StatusCommand.Create(host),
            DeploymentsCommand.Create(host),
            LogsCommand.Create(host),
            ActivateCommands.CreateRollback(host),
            ActivateCommands.CreateActivate(host),
            CancelCommand.Create(host),
            OpenCommand.Create(host),
            DestroyCommand.Create(host),
            MachinesCommand.Create(host),
            MachineCommand.Create(host),
            TemplateCommand.Create(host),
            NetworkCommand.Create(host),
            ImageCommand.Create(host),
            LoginCommand.Create(host),
            InfoCommand.Create(host),
            ManifestCommand.Create(host),
        };
        root.Add(CompletionCommand.Create(host));
        root.Add(CommandRunner.Json);
        return root;
    }

    public static async Task<int> RunAsync(CliHost host, IReadOnlyList<string> arguments)
    {
        var parsed = Create(host).Parse(arguments);
        if (parsed.Action is ParseErrorAction error)
            error.ShowHelp = false;
        var exit = await parsed.InvokeAsync(
            new() { Output = host.Out, Error = host.Error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null },
            CancellationToken.None);
        if (parsed.Action is not ParseErrorAction)
            return exit;
        host.Note("byteport --help shows the commands, byteport COMMAND --help what one takes.");
        return (int)ExitCode.Usage;
    }
}
