using System.CommandLine;
using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Projects;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Deployments;

/// <summary><c>rollback</c> and <c>activate</c>: an earlier deployment serves again, without a build.</summary>
internal static class ActivateCommands
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    public static Command CreateRollback(CliHost host)
    {
        var project = new ProjectArgument();
        var command = new Command("rollback", "Serve the deployment that was live before, without a build.");
        project.AddTo(command);
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var name = await project.GetAsync(host, arguments, cancellationToken);
            var chosen = await client.PostAsync($"{ApiClient.PathOf(name)}/rollback", null, ApiJson.Default.Deployment, cancellationToken);
            return await WaitAsync(host, client, arguments, chosen, cancellationToken);
        });
        return command;
    }

    public static Command CreateActivate(CliHost host)
    {
        var number = new Argument<int>("NUMBER") { Description = "The deployment." };
        var project = new ProjectArgument();
        var command = new Command("activate", "Serve an earlier successful deployment, without a build.") { number };
        project.AddTo(command);
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var name = await project.GetAsync(host, arguments, cancellationToken);
            var chosen = await client.PostAsync($"{ApiClient.PathOf(name, arguments.GetValue(number))}/activate", null, ApiJson.Default.Deployment, cancellationToken);
            return await WaitAsync(host, client, arguments, chosen, cancellationToken);
        });
        return command;
    }

    private static async Task<ExitCode> WaitAsync(
        CliHost host, ApiClient client, CommandArguments arguments, Deployment chosen, CancellationToken cancellationToken)
    {
        var started = host.Time.GetTimestamp();
        var path = ApiClient.PathOf(chosen.Project, chosen.Number);
        while (!chosen.Serving && chosen.Activation is not { Status: "failed" })
        {
            if (host.Time.GetElapsedTime(started) > Patience)
                throw new CliException(ExitCode.Failed, string.Create(CultureInfo.InvariantCulture, $"Deployment {chosen.Number} of {chosen.Project} does not serve after {Patience.TotalMinutes:0} minutes; see byteport status {chosen.Project}"));
            await Task.Delay(Pause, host.Time, cancellationToken);
            chosen = await client.GetAsync(path, ApiJson.Default.Deployment, cancellationToken);
        }

        if (arguments.Json)
            host.Json(DeployResult.From(chosen) with { Reason = chosen.Activation?.Reason }, ApiJson.Default.DeployResult);
        else if (chosen.Serving)
        {
            host.Note(string.Create(CultureInfo.InvariantCulture, $"Deployment {chosen.Number} of {chosen.Project} serves"));
            host.Result(chosen.Url ?? "");
        }
        else
            host.Note(string.Create(CultureInfo.InvariantCulture, $"byteport: deployment {chosen.Number} of {chosen.Project} cannot serve: {chosen.Activation?.Reason}"));
        return chosen.Serving ? ExitCode.Ok : ExitCode.Failed;
    }
}
