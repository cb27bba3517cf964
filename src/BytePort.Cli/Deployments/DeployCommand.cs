using System.CommandLine;
using System.Globalization;
using System.Net.Http.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Deployments;

/// <summary><c>deploy</c>: source in, URL out.</summary>
/// <remarks>
/// 1. Tell folder, archive and Git URL apart. 2. Find the project's name. 3. Send the files. 4. Ask for the deployment. 5. Follow it to
/// its end. Ctrl-C before 4 leaves nothing behind; after it, it asks the server to cancel, and a second one leaves without waiting.
/// </remarks>
internal static class DeployCommand
{
    public static Command Create(CliHost host)
    {
        var source = new Argument<string>("SOURCE")
        {
            HelpName = "DIR|ZIP|GIT_URL",
            DefaultValueFactory = _ => ".",
            Description = "A folder, a zip or tar.gz, or a Git URL (http, https, ssh); by default the current folder.",
        };
        var project = new Option<string?>("--project", "-p") { HelpName = "NAME", Description = "The project, made if there is none; by default the name in byteport.yaml, or the folder's or repository's." };
        var reference = new Option<string?>("--ref") { HelpName = "REF", Description = "Branch, tag or commit of a Git URL." };
        var noWait = new Option<bool>("--no-wait") { Description = "Do not wait for the end." };
        var quiet = new Option<bool>("--quiet", "-q") { Description = "Only the result, and the last lines of the log when it fails." };
        var command = new Command("deploy", "Deploy a folder, an archive or a Git repository, and wait until it is live.") { source, project, reference, noWait, quiet };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            var what = DeploySource.Parse(arguments.GetValue(source)!, arguments.GetValue(reference), host.Folder);             // 1
            var name = arguments.GetValue(project) ?? await what.GetNameAsync(cancellationToken);                              // 2
            using var client = Connection.Open(host);
            var request = await Uploader.SendAsync(host, client, what, arguments.GetValue(quiet), cancellationToken);          // 3
            var deployment = await client.PostAsync(                                                                           // 4
                $"{ApiClient.PathOf(name)}/deployments",
                JsonContent.Create(new(request), ApiJson.Default.DeploymentRequest),
                ApiJson.Default.Deployment,
                cancellationToken);
            if (!arguments.GetValue(quiet))
                host.Note(string.Create(CultureInfo.InvariantCulture, $"Deployment {deployment.Number} of {deployment.Project}"));
            return arguments.GetValue(noWait)
                ? Report(host, arguments, deployment, ExitCode.Ok)
                : await WaitAsync(host, client, arguments, deployment, arguments.GetValue(quiet));                             // 5
        });
        return command;
    }

    private static async Task<ExitCode> WaitAsync(CliHost host, ApiClient client, CommandArguments arguments, Deployment deployment, bool quiet)
    {
        var view = new DeploymentView(host, quiet);
        using var watch = host.Interrupts.First.Register(() => _ = CancelAsync(host, client, deployment));
        Deployment end;
        try
        {
            end = await new DeploymentFollower(client, host.Time).FollowAsync(
                deployment, view.Show, view.Show, host.Interrupts.Second);
        }
        catch (OperationCanceledException)
        {
            host.Note(string.Create(CultureInfo.InvariantCulture, $"Left deployment {deployment.Number} to itself; see byteport status {deployment.Project}"));
            return ExitCode.Interrupted;
        }

        // A deployment that became live although it was to be canceled is still an interrupted command, but it says what is true.
        var exit = host.Interrupts.First.IsCancellationRequested ? ExitCode.Interrupted
            : end.Status == "live" ? ExitCode.Ok
            : ExitCode.Failed;
        view.ShowEnd(end, arguments.Json);
        return Report(host, arguments, end, exit);
    }

    private static async Task CancelAsync(CliHost host, ApiClient client, Deployment deployment)
    {
        host.Note("Canceling the deployment (Ctrl-C again leaves it running)");
        try
        {
            await client.SendAsync(HttpMethod.Post, $"{ApiClient.PathOf(deployment.Project, deployment.Number)}/cancel", host.Interrupts.Second);
        }
        catch (ApiException exception)
        {
            host.Note($"byteport: {exception.Message}");
        }
        catch (OperationCanceledException)
        {
            // The second Ctrl-C, which the follower reports.
        }
    }

    private static ExitCode Report(CliHost host, CommandArguments arguments, Deployment deployment, ExitCode exit)
    {
        if (arguments.Json)
            host.Json(DeployResult.From(deployment), ApiJson.Default.DeployResult);
        else if (!deployment.IsFinished)
            host.Result(string.Create(CultureInfo.InvariantCulture, $"{deployment.Number}"));
        return exit;
    }
}
