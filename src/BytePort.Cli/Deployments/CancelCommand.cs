using System.CommandLine;
using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Projects;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Deployments;

/// <summary><c>cancel</c>: ends a deployment that is not finished.</summary>
internal static class CancelCommand
{
    public static Command Create(CliHost host)
    {
        var project = new ProjectArgument();
        var number = new Option<int?>("--deployment") { HelpName = "N", Description = "Which one; by default the newest." };
        var command = new Command("cancel", "Cancel a project's running or queued deployment.") { number };
        project.AddTo(command);
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var name = await project.GetAsync(host, arguments, cancellationToken);
            var chosen = arguments.GetValue(number) ?? await FindNewestAsync(client, name, cancellationToken);
            await client.SendAsync(HttpMethod.Post, $"{ApiClient.PathOf(name, chosen)}/cancel", cancellationToken);
            if (arguments.Json)
                host.Json(await client.GetAsync(ApiClient.PathOf(name, chosen), ApiJson.Default.Deployment, cancellationToken), ApiJson.Default.Deployment);
            else
                host.Note(string.Create(CultureInfo.InvariantCulture, $"Asked to cancel deployment {chosen} of {name}"));
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task<int> FindNewestAsync(ApiClient client, string project, CancellationToken cancellationToken)
    {
        var found = await client.GetAsync(ApiClient.PathOf(project), ApiJson.Default.Project, cancellationToken);
        return found.Latest is { IsFinished: false } latest
            ? latest.Number
            : throw new CliException(ExitCode.Failed, $"No deployment of {project} is running or queued.");
    }
}
