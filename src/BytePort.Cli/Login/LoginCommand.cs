using System.CommandLine;
using BytePort.Cli.Api;
using BytePort.Cli.Terminal;
using Spectre.Console;

namespace BytePort.Cli.Login;

/// <summary><c>login</c>: checks a token and keeps it for later commands.</summary>
internal static class LoginCommand
{
    public static Command Create(CliHost host)
    {
        var url = new Argument<string?>("URL") { Arity = ArgumentArity.ZeroOrOne, Description = "The server, such as https://deploy.example.org." };
        var data = new Option<string?>("--data") { HelpName = "DIR", Description = "Take server and token from a data folder on this machine." };
        var tokenFromInput = new Option<bool>("--token-stdin") { Description = "Read the token from standard input." };
        var command = new Command("login", "Sign in to a server and keep the token in login.json (0600).") { url, data, tokenFromInput };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            var login = arguments.GetValue(data) is { } folder
                ? LoginFile.Read(Path.Combine(folder, "login.json")) ?? throw new CliException(ExitCode.NotFound, $"{folder} holds no login.json. Has a server been started with this data folder?")
                : new LoginFile(arguments.GetValue(url) ?? Connection.Find(host).Server.ToString(), ReadToken(host, arguments.GetValue(tokenFromInput)));
            var server = Connection.ParseUrl(login.Url, "URL");
            using var client = new ApiClient(server, login.Token);
            await client.GetAsync("api/v1/projects?limit=1", ApiJson.Default.PageProject, cancellationToken);

            var path = LoginFile.DefaultPath(host);
            (login with { Url = server.ToString() }).Write(path);
            host.Note($"Signed in to {server}; kept in {path}");
            return ExitCode.Ok;
        });
        return command;
    }

    private static string ReadToken(CliHost host, bool fromInput)
    {
        if (host.Variable("BYTEPORT_TOKEN") is { Length: > 0 } token)
            return token;
        if (!fromInput && !host.IsTerminal)
            throw new CliException(ExitCode.Usage, "There is no terminal to ask for the token. Give it with --token-stdin or BYTEPORT_TOKEN.");
        var typed = fromInput ? host.In().ReadLine() : host.ErrorConsole.Prompt(new TextPrompt<string>("Token:").Secret());
        return typed?.Trim() is { Length: > 0 } read ? read : throw new CliException(ExitCode.Usage, "The token is empty.");
    }
}
