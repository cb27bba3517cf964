using System.CommandLine;
using BytePort.Cli.Api;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Login;

/// <summary>What <c>info --json</c> prints.</summary>
internal sealed record InfoResult(string Name, string Version, string Server, string? AppDomain, string Apps, bool SignedIn, string LoginFrom);

/// <summary><c>info</c>: which server, which version, and whether the token opens it.</summary>
internal static class InfoCommand
{
    public static Command Create(CliHost host)
    {
        var command = new Command("info", "Show the server, its version and whether you are signed in.");
        command.Aliases.Add("whoami");
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            var connection = Connection.Find(host);
            using var client = new ApiClient(connection.Server, connection.Token);
            var info = await client.GetAsync("api/v1/info", ApiJson.Default.ServerInfo, cancellationToken);
            var signedIn = await IsSignedInAsync(client, cancellationToken);
            var result = new InfoResult(info.Name, info.Version, connection.Server.ToString().TrimEnd('/'), info.AppDomain, AppsOf(info, connection.Server), signedIn, connection.Origin);
            if (arguments.Json)
                host.Json(result, ApiJson.Default.InfoResult);
            else
            {
                host.Result($"{result.Name} {result.Version} at {result.Server}");
                host.Result($"Apps at {result.Apps}");
                host.Result(signedIn ? $"Signed in ({result.LoginFrom})" : "Not signed in: run byteport login, or set BYTEPORT_TOKEN");
            }

            return signedIn ? ExitCode.Ok : ExitCode.NotSignedIn;
        });
        return command;
    }

    /// <summary>The pattern of the apps' addresses: the server's own scheme and port, the domain of the apps.</summary>
    private static string AppsOf(ServerInfo info, Uri server)
    {
        var url = Uri.TryCreate(info.Url, UriKind.Absolute, out var own) ? own : server;
        return $"{url.Scheme}://NAME.{info.AppDomain ?? url.Host}{(url.IsDefaultPort ? "" : $":{url.Port}")}";
    }

    private static async Task<bool> IsSignedInAsync(ApiClient client, CancellationToken cancellationToken)
    {
        try
        {
            await client.GetAsync("api/v1/projects?limit=1", ApiJson.Default.PageProject, cancellationToken);
            return true;
        }
        catch (ApiException exception) when (exception.ExitCode == ExitCode.NotSignedIn)
        {
            return false;
        }
    }
}
