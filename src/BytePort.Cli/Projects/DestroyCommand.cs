using System.CommandLine;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;
using Spectre.Console;

namespace BytePort.Cli.Projects;

/// <summary><c>destroy</c>: deletes a project with its deployments and machines, after a question.</summary>
internal static class DestroyCommand
{
    public static Command Create(CliHost host)
    {
        // Named in full, always: the current folder must not decide what is deleted.
        var project = new Argument<string>("PROJECT") { Description = "The project." };
        var yes = new Option<bool>("--yes", "-y") { Description = "Do not ask." };
        var command = new Command("destroy", "Delete a project, its deployments and its machines. This cannot be undone.") { project, yes };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var name = arguments.GetValue(project)!;
            var found = await client.GetAsync(ApiClient.PathOf(name), ApiJson.Default.Project, cancellationToken);
            if (!arguments.GetValue(yes))
                Ask(host, found.Name);
            await client.SendAsync(HttpMethod.Delete, ApiClient.PathOf(name), cancellationToken);
            if (arguments.Json)
                host.Json(found, ApiJson.Default.Project);
            else
                host.Note($"Deleted {found.Name}.");
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Ask(CliHost host, string name)
    {
        if (!host.IsTerminal)
            throw new CliException(ExitCode.Usage, $"There is no terminal to ask whether to delete {name}. Add --yes.");
        var typed = host.ErrorConsole.Prompt(new TextPrompt<string>($"Type the name [bold]{name.EscapeMarkup()}[/] to delete it for good:").AllowEmpty());
        if (typed.Trim() != name)
            throw new CliException(ExitCode.Failed, $"\"{typed.Trim()}\" is not {name}: nothing was deleted.");
    }
}
