using System.CommandLine;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;
using Spectre.Console;

namespace BytePort.Cli.Images;

/// <summary><c>image pull</c> and <c>image build</c>: what the server does is shown as it happens; Ctrl-C cancels it.</summary>
internal static class MakeCommands
{
    private const int MaxRecipe = 256 << 10;

    // Comments keep the line open and are not seen here: a fetch or a build may say nothing for long.
    private static readonly TimeSpan Silence = TimeSpan.FromHours(1);

    public static Command CreatePull(CliHost host)
    {
        var reference = new Argument<string>("REF") { Description = "The image, such as alpine:3.20 or ghcr.io/owner/app@sha256:…" };
        var user = new Option<string?>("--username", "-u") { HelpName = "USER", Description = "For a private registry; the password is asked for." };
        var passwordFromInput = new Option<bool>("--password-stdin") { Description = "Read the password, or a token, from standard input." };
        var pin = new Option<bool>("--pin") { Description = "Keep it until image unpin." };
        var command = new Command("pull", "Fetch an image of a registry.") { reference, user, passwordFromInput, pin };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            var name = arguments.GetValue(user);
            if (name is null && arguments.GetValue(passwordFromInput))
                throw new CliException(ExitCode.Usage, "--password-stdin needs --username.");
            var password = name is null ? null : ReadPassword(host, arguments.GetValue(passwordFromInput));
            using var content = JsonContent.Create(new PullRequest(arguments.GetValue(reference)!, name, password, arguments.GetValue(pin)), ApiJson.Default.PullRequest);
            return await FollowAsync(host, arguments, "api/v1/images/pull", content, cancellationToken);
        });
        return command;
    }

    public static Command CreateBuild(CliHost host)
    {
        var reference = new Argument<string?>("NAME") { Arity = ArgumentArity.ZeroOrOne, Description = "A stack that the platform has a recipe for, such as node@22." };
        var file = new Option<string?>("--file", "-f") { HelpName = "FILE", Description = "A recipe NAME.yaml, which the platform keeps once the stack is made." };
        var command = new Command("build", "Make a stack, or 'kernel': the small guest kernel, which boots in a third of the time and takes some minutes to compile.") { reference, file };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            var path = arguments.GetValue(file);
            if (path is null == arguments.GetValue(reference) is null)
                throw new CliException(ExitCode.Usage, "Give either the NAME of a stack, or a recipe with --file FILE.");
            using var content = JsonContent.Create(
                path is null ? new BuildRequest(arguments.GetValue(reference)!, null) : await ReadAsync(System.IO.Path.Combine(host.Folder, path), cancellationToken), ApiJson.Default.BuildRequest);
            return await FollowAsync(host, arguments, "api/v1/images/build", content, cancellationToken);
        });
        return command;
    }

    private static async Task<BuildRequest> ReadAsync(string path, CancellationToken cancellationToken)
    {
        var file = new FileInfo(path);
        if (!file.Exists)
            throw new CliException(ExitCode.NotFound, $"There is no file {path}.");
        if (file.Length > MaxRecipe)
            throw new CliException(ExitCode.Usage, $"{path} is larger than {MaxRecipe >> 10} KiB; that is no recipe.");
        return file.Extension is ".yaml" or ".yml"
            ? new BuildRequest(System.IO.Path.GetFileNameWithoutExtension(path), await File.ReadAllTextAsync(path, cancellationToken))
            : throw new CliException(ExitCode.Usage, $"{path} is not called NAME.yaml; the stack gets the file's name.");
    }

    private static async Task<ExitCode> FollowAsync(CliHost host, CommandArguments arguments, string path, HttpContent content, CancellationToken cancellationToken)
    {
        using var client = Connection.Open(host);
        await foreach (var item in client.PostForEventsAsync(path, content, Silence, cancellationToken))
        {
            switch (item.EventType)
            {
                case "progress" when JsonSerializer.Deserialize(item.Data, ApiJson.Default.ImageProgress) is { } line:
                    host.Note(line.Text);
                    break;
                case "image" when JsonSerializer.Deserialize(item.Data, ApiJson.Default.Image) is { } image:
                    if (arguments.Json)
                        host.Json(image, ApiJson.Default.Image);
                    else
                        host.Result(image.Kind == "stack" ? $"{image.Reference}+{image.Digest}" : image.Digest);
                    return ExitCode.Ok;
                case "error" when JsonSerializer.Deserialize(item.Data, ApiJson.Default.Problem) is { } problem:
                    throw new ApiException(
                        $"{problem.Detail ?? problem.Title}{(problem.Code is { } code ? $" ({code})" : "")}",
                        problem.Code == "image_not_found" ? HttpStatusCode.NotFound : HttpStatusCode.UnprocessableEntity,
                        problem.Code);
            }
        }

        throw new ApiException("The connection broke off before the image was there; the server has stopped. Run the command again.", null);
    }

    private static string ReadPassword(CliHost host, bool fromInput)
    {
        if (!fromInput && !host.IsTerminal)
            throw new CliException(ExitCode.Usage, "There is no terminal to ask for the password. Give it with --password-stdin.");
        var typed = fromInput ? host.In().ReadToEnd().TrimEnd('\r', '\n') : host.ErrorConsole.Prompt(new TextPrompt<string>("Password:").Secret());
        return typed.Length > 0 ? typed : throw new CliException(ExitCode.Usage, "The password is empty.");
    }
}
