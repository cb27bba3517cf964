using System.CommandLine;
using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Projects;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Deployments;

/// <summary><c>deployments</c>: a project's deployments, newest first.</summary>
internal static class DeploymentsCommand
{
    public static Command Create(CliHost host)
    {
        var project = new ProjectArgument();
        var limit = new Option<int>("--limit") { HelpName = "N", DefaultValueFactory = _ => 20, Description = "How many, newest first." };
        var command = new Command("deployments", "List a project's deployments, newest first.") { limit };
        project.AddTo(command);
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var name = await project.GetAsync(host, arguments, cancellationToken);
            var deployments = await Pages.ReadAsync(
                client, $"{ApiClient.PathOf(name)}/deployments", ApiJson.Default.PageDeployment, Math.Max(1, arguments.GetValue(limit)), cancellationToken);
            if (arguments.Json)
                host.Json(deployments, ApiJson.Default.IReadOnlyListDeployment);
            else
                host.Table(["", "NUMBER", "STATUS", "SOURCE", "CREATED", "REASON"], deployments.Select(deployment => (string[])
                [
                    deployment.Serving ? "▸" : " ",
                    deployment.Number.ToString(CultureInfo.InvariantCulture),
                    deployment.Status,
                    Describe(deployment.Source),
                    Age.Since(deployment.CreatedAt, host.Time),
                    deployment.Reason ?? "",
                ]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static string Describe(DeploymentOrigin? source) => source switch
    {
        null => "",
        { Commit: { Length: > 8 } commit } => $"{commit[..8]} {source.Message?.Split('\n')[0]}".TrimEnd(),
        _ => source.Kind,
    };
}
