using System.CommandLine;
using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Deployments;
using BytePort.Cli.Login;
using BytePort.Cli.Projects;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Logs;

/// <summary><c>logs</c>: what a project's processes write, or with --build what a deployment did.</summary>
internal static class LogsCommand
{
    public static Command Create(CliHost host)
    {
        var project = new ProjectArgument();
        var build = new Option<int?>("--build") { HelpName = "N", Description = "The log of deployment N instead." };
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on with new lines until Ctrl-C, or until the deployment ends." };
        var service = new Option<string?>("--service") { HelpName = "NAME", Description = "Only this service." };
        var tail = new Option<int>("--tail") { HelpName = "N", DefaultValueFactory = _ => 100, Description = "How many of the last lines to start with." };
        var command = new Command("logs", "Show what a project's processes write, or a deployment's log. With --json one object a line.") { build, follow, service, tail };
        project.AddTo(command);
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var name = await project.GetAsync(host, arguments, cancellationToken);
            void Show(LogLine line)
            {
                if (arguments.Json)
                    host.Json(line, ApiJson.Default.LogLine);
                else
                    host.Out.WriteLine(LogText.Format(line, host.Colors));
            }

            if (arguments.GetValue(build) is { } number)
                return await ShowBuildAsync(host, client, name, number, arguments.GetValue(follow), Show, cancellationToken);

            var filter = arguments.GetValue(service) is { } only ? $"&service={Uri.EscapeDataString(only)}" : "";
            var path = string.Create(CultureInfo.InvariantCulture, $"{ApiClient.PathOf(name)}/logs?tail={Math.Max(0, arguments.GetValue(tail))}{filter}");
            if (arguments.GetValue(follow))
                await LogStream.FollowAsync(host, client, path, Show, cancellationToken);
            else
                (await client.GetAsync(path, ApiJson.Default.LogPage, cancellationToken)).Items.ToList().ForEach(Show);
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task<ExitCode> ShowBuildAsync(
        CliHost host, ApiClient client, string project, int number, bool follow, Action<LogLine> show, CancellationToken cancellationToken)
    {
        if (follow)
        {
            var deployment = await client.GetAsync(ApiClient.PathOf(project, number), ApiJson.Default.Deployment, cancellationToken);
            var end = await new DeploymentFollower(client, host.Time).FollowAsync(deployment, show, _ => { }, cancellationToken);
            return end.Status == "live" ? ExitCode.Ok : ExitCode.Failed;
        }

        long? from = 0;
        while (from is { } offset)
        {
            var page = await client.GetAsync(
                string.Create(CultureInfo.InvariantCulture, $"{ApiClient.PathOf(project, number)}/logs?from={offset}"), ApiJson.Default.LogPage, cancellationToken);
            page.Items.ToList().ForEach(show);
            from = page.Items.Count > 0 && page.Next > offset ? page.Next : null;
        }

        return ExitCode.Ok;
    }
}
