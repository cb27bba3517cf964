using System.CommandLine;
using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Projects;

/// <summary><c>status</c>: what a project serves, and how its services are.</summary>
internal static class StatusCommand
{
    public static Command Create(CliHost host)
    {
        var project = new ProjectArgument();
        var command = new Command("status", "Show what a project serves and how its services are.");
        project.AddTo(command);
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var name = await project.GetAsync(host, arguments, cancellationToken);
            var found = await client.GetAsync(ApiClient.PathOf(name), ApiJson.Default.Project, cancellationToken);
            if (arguments.Json)
                host.Json(found, ApiJson.Default.Project);
            else
                Show(host, found);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Show(CliHost host, Project project)
    {
        host.Result($"{project.Name}  {project.Status}  {project.Url}");
        if (project.Live is { } live)
            host.Result($"Live: deployment {Describe(live, host)}");
        if (project.Latest is { } latest && latest.Number != project.Live?.Number)
            host.Result($"Latest: deployment {Describe(latest, host)}{(latest.Reason is { } reason ? $": {reason}" : "")}");
        if (project.Services is not { Count: > 0 } services)
            return;
        host.Out.WriteLine();
        host.Table(["SERVICE", "KIND", "STATUS", "ROUTES", "MACHINES"], services.Select(service => (string[])
        [
            service.Name,
            service.Kind,
            service.Status ?? "",
            string.Join(' ', service.Routes ?? []),
            string.Join(", ", (service.Instances ?? []).Select(Describe)),
        ]));
    }

    private static string Describe(Deployment deployment, CliHost host) =>
        string.Create(CultureInfo.InvariantCulture, $"{deployment.Number} ({deployment.Status}, {Age.Since(deployment.CreatedAt, host.Time)})");

    private static string Describe(Instance instance)
    {
        var restarts = instance.Restarts == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $", {instance.Restarts} restarts");
        return $"{instance.Machine ?? "(starting)"} {instance.Status}{restarts}{(instance.Reason is null ? "" : $" ({instance.Reason})")}";
    }
}
