using System.CommandLine;
using System.ComponentModel;
using System.Diagnostics;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Projects;

/// <summary><c>open</c>: the project's URL, in a browser when there is one.</summary>
internal static class OpenCommand
{
    public static Command Create(CliHost host)
    {
        var project = new ProjectArgument();
        var command = new Command("open", "Open a project's URL in the browser, or print it where there is none.");
        project.AddTo(command);
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var name = await project.GetAsync(host, arguments, cancellationToken);
            var found = await client.GetAsync(ApiClient.PathOf(name), ApiJson.Default.Project, cancellationToken);
            if (arguments.Json)
            {
                host.Json(found, ApiJson.Default.Project);
                return ExitCode.Ok;
            }

            // Only a web address is handed to another program, whatever the server says.
            if (!Uri.TryCreate(found.Url, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
                throw new CliException(ExitCode.Failed, $"The project {name} has no URL yet. Deploy it first.");
            host.Result(url.ToString());
            if (host.IsTerminal && !string.IsNullOrEmpty(host.Variable("DISPLAY") ?? host.Variable("WAYLAND_DISPLAY")))
                StartBrowser(url);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void StartBrowser(Uri url)
    {
        try
        {
            using var browser = Process.Start(new ProcessStartInfo("xdg-open", [url.AbsoluteUri]) { UseShellExecute = false });
        }
        catch (Win32Exception)
        {
            // No opener is installed; the printed URL is the result.
        }
    }
}
