using System.CommandLine;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Projects;

/// <summary><c>projects</c>: every project with its status and URL.</summary>
internal static class ProjectsCommand
{
    public static Command Create(CliHost host)
    {
        var command = new Command("projects", "List the projects.");
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var projects = await Pages.ReadAsync(client, "api/v1/projects", ApiJson.Default.PageProject, int.MaxValue, cancellationToken);
            if (arguments.Json)
                host.Json(projects, ApiJson.Default.IReadOnlyListProject);
            else if (projects.Count == 0)
                host.Note("No projects yet. Deploy one with: byteport deploy DIR");
            else
                host.Table(["PROJECT", "STATUS", "DEPLOYED", "URL"], projects.Select(project => (string[])
                [
                    project.Name,
                    project.Status,
                    project.Latest is { } latest ? Age.Since(latest.CreatedAt, host.Time) : "never",
                    project.Url ?? "",
                ]));
            return ExitCode.Ok;
        });
        return command;
    }
}
