using System.CommandLine;
using System.Net.Http.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Deployments;
using BytePort.Cli.Login;
using BytePort.Cli.Manifests;
using BytePort.Cli.Terminal;
using BytePort.Manifest.Hac;

namespace BytePort.Cli.Machines.Templates;

/// <summary><c>template</c>: folders that machines are spawned from, kept with the team.</summary>
internal static class TemplateCommand
{
    private static readonly TimeSpan AnswerTime = TimeSpan.FromMinutes(3);

    public static Command Create(CliHost host) => new("template", "Machine templates: folders with hac.toml, config/, scripts/ and data/ that machines are spawned from.")
    {
        CreateList(host),
        CreatePush(host),
        CreatePull(host),
        CreateRemove(host),
    };

    /// <summary>Reads a template's <c>hac.toml</c>, or says all that is wrong with it.</summary>
    public static async Task<HacFile?> ReadAsync(CliHost host, string path, string name, bool json, CancellationToken cancellationToken)
    {
        var result = await HacReader.ReadFileAsync(path, name, cancellationToken);
        if (result.File is not null)
            return result.File;
        if (json)
            host.Json(result.Errors, ManifestJson.Default.IReadOnlyListManifestError);
        else
            result.Errors.ToList().ForEach(error => host.Note(error.ToString()));
        return null;
    }

    /// <summary>Sends a folder; null when its file is wrong, which was said.</summary>
    /// <param name="name">What the template is called; null for the name in its file.</param>
    public static async Task<MachineTemplate?> PushAsync(
        CliHost host, ApiClient client, string folder, string? name, bool replaceData, bool json, CancellationToken cancellationToken)
    {
        var root = Path.GetFullPath(folder, host.Folder);
        var path = Path.Combine(root, HacFile.FileName);
        if (!File.Exists(path))
            throw new CliException(ExitCode.NotFound, $"There is no {HacFile.FileName} in {folder}. Make one with: byteport machine new {folder}");
        if (await ReadAsync(host, path, Path.Combine(folder, HacFile.FileName), json, cancellationToken) is not { } file)
            return null;
        var sent = await Uploader.SendAsync(host, client, new FolderSource(root), json, cancellationToken);
        using var content = JsonContent.Create(new TemplateRequest(sent.Upload!, replaceData), ApiJson.Default.TemplateRequest);
        return await client.PutAsync(PathOf(name ?? file.Name), content, ApiJson.Default.MachineTemplate, AnswerTime, cancellationToken);
    }

    private static Command CreateList(CliHost host)
    {
        var command = new Command("ls", "List the team's templates.");
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var templates = (await client.GetAsync("api/v1/templates", ApiJson.Default.PageMachineTemplate, cancellationToken)).Items;
            if (arguments.Json)
                host.Json(templates, ApiJson.Default.IReadOnlyListMachineTemplate);
            else if (templates.Count == 0)
                host.Note("No templates. Make one with: byteport machine new DIR --template, and push it with: byteport template push DIR");
            else
                host.Table(["NAME", "IMAGE", "DRIVER", "HAS", "SIZE", "PUSHED", "DESCRIPTION"], templates.Select(template => (string[])
                [
                    template.Name,
                    template.Image,
                    template.Driver,
                    string.Join(' ', [.. template.HasConfig ? ["config"] : (string[])[], .. template.HasData ? ["data"] : (string[])[], .. template.Scripts]),
                    $"{template.Files} files, {Age.Bytes(template.Size)}",
                    Age.Since(template.PushedAt, host.Time),
                    template.Description ?? "",
                ]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreatePush(CliHost host)
    {
        var folder = new Argument<string>("DIR") { DefaultValueFactory = _ => ".", Description = "The template's folder." };
        var name = new Option<string>("--name") { HelpName = "NAME", Description = "What it is called, by default the name in its hac.toml." };
        var replace = new Option<bool>("--replace-data") { Description = "Put data/ in the place of what the template's machines keep." };
        var command = new Command("push", "Store a folder as a template, or as its next version.") { folder, name, replace };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            if (await PushAsync(host, client, arguments.GetValue(folder)!, arguments.GetValue(name), arguments.GetValue(replace), arguments.Json, cancellationToken) is not { } template)
                return ExitCode.Failed;
            if (arguments.Json)
                host.Json(template, ApiJson.Default.MachineTemplate);
            else
                host.Result(template.Name);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreatePull(CliHost host)
    {
        var name = CreateName();
        var target = new Option<string>("--output", "-o") { HelpName = "FILE", Description = "By default NAME.tar.gz; - for standard output." };
        var command = new Command("pull", "Write a template to a tar.gz file, with what its machines keep in data/.") { name, target };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var wanted = arguments.GetValue(name)!;
            var file = arguments.GetValue(target) ?? $"{wanted}.tar.gz";
            if (file == "-")
            {
                await using var output = host.OpenOutput();
                await client.DownloadAsync($"{PathOf(wanted)}/archive", output, cancellationToken);
                return ExitCode.Ok;
            }

            var path = Path.GetFullPath(file, host.Folder);
            if (File.Exists(path))
                throw new CliException(ExitCode.Failed, $"{file} is there already. Remove it, or name another with --output.");
            var aside = $"{path}.{Guid.NewGuid():N}";
            try
            {
                await using (var stream = new FileStream(aside, FileMode.CreateNew, FileAccess.Write))
                    await client.DownloadAsync($"{PathOf(wanted)}/archive", stream, cancellationToken);
                File.Move(aside, path);
            }
            finally
            {
                File.Delete(aside);
            }

            host.Note($"Wrote {file}.");
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateRemove(CliHost host)
    {
        var name = CreateName();
        var command = new Command("rm", "Delete a template with its data; machines that came from it go on.") { name };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            await client.SendAsync(HttpMethod.Delete, PathOf(arguments.GetValue(name)!), cancellationToken);
            host.Note($"Deleted template {arguments.GetValue(name)}.");
            return ExitCode.Ok;
        });
        return command;
    }

    private static Argument<string> CreateName() => new("NAME") { Description = "The template's name." };

    private static string PathOf(string template) => $"api/v1/templates/{Uri.EscapeDataString(template)}";
}
