using System.CommandLine;
using BytePort.Cli.Terminal;
using BytePort.Manifest;

namespace BytePort.Cli.Manifests;

/// <summary><c>manifest</c>: works on the files here; no server is asked.</summary>
internal static class ManifestCommand
{
    public static Command Create(CliHost host)
    {
        var command = new Command("manifest", "Check and show byteport.yaml; no server is asked.");
        command.Add(CreateCheck(host));
        command.Add(CreateShow(host));
        command.Add(CreateSchema(host));
        return command;
    }

    private static Argument<string> CreatePath() => new("PATH")
    {
        DefaultValueFactory = _ => ".",
        Description = "A folder or a manifest file; by default the current folder.",
    };

    private static Command CreateCheck(CliHost host)
    {
        var path = CreatePath();
        var command = new Command("check", "Report every error in a manifest.") { path };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            var result = await ReadAsync(host, arguments.GetValue(path)!, cancellationToken);
            if (arguments.Json)
                host.Json(result.Errors, ManifestJson.Default.IReadOnlyListManifestError);
            else if (result.Errors.Count == 0)
                host.Note("The manifest is right.");
            else
                result.Errors.ToList().ForEach(error => host.Result(error.ToString()));
            return result.Errors.Count == 0 ? ExitCode.Ok : ExitCode.Failed;
        });
        return command;
    }

    private static Command CreateShow(CliHost host)
    {
        var path = CreatePath();
        var command = new Command("show", "Print a manifest as BytePort reads it; a Procfile is shown as the byteport.yaml that says the same.") { path };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            var result = await ReadAsync(host, arguments.GetValue(path)!, cancellationToken);
            if (result.Manifest is null)
            {
                result.Errors.ToList().ForEach(error => host.Note(error.ToString()));
                return ExitCode.Failed;
            }

            if (arguments.Json)
                host.Json(result.Manifest, ManifestJson.Default.ProjectManifest);
            else
                host.Out.Write(ManifestWriter.Write(result.Manifest));
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateSchema(CliHost host)
    {
        var command = new Command("schema", "Print the JSON Schema of byteport.yaml.");
        command.Runs(host, (_, _) =>
        {
            host.Out.Write(ManifestSchema.ToJson());
            return Task.FromResult(ExitCode.Ok);
        });
        return command;
    }

    private static async Task<ManifestResult> ReadAsync(CliHost host, string text, CancellationToken cancellationToken)
    {
        var path = Path.GetFullPath(text, host.Folder);
        if (File.Exists(path))
            return Path.GetFileName(path) == Procfile.FileName
                ? await ReadProcfileAsync(path, text, cancellationToken)
                : await ManifestReader.ReadFileAsync(path, text, cancellationToken);
        if (!Directory.Exists(path))
            throw new CliException(ExitCode.NotFound, $"{text} is no folder and no file.");
        if (await ManifestReader.ReadFolderAsync(path, cancellationToken) is { } result)
            return result;
        var procfile = Path.Combine(path, Procfile.FileName);
        return File.Exists(procfile)
            ? await ReadProcfileAsync(procfile, Procfile.FileName, cancellationToken)
            : throw new CliException(ExitCode.NotFound, $"{text} holds no {string.Join(", ", ProjectManifest.FileNames)} or {Procfile.FileName}. Without one, everything is detected.");
    }

    private static async Task<ManifestResult> ReadProcfileAsync(string path, string name, CancellationToken cancellationToken)
    {
        var result = Procfile.Read(await File.ReadAllTextAsync(path, cancellationToken), name);
        return result.Errors.Count > 0 ? new(null, result.Errors) : new(result.ToManifest(), []);
    }
}
