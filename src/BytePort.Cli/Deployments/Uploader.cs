using BytePort.Cli.Api;
using BytePort.Cli.Packing;
using BytePort.Cli.Terminal;
using Spectre.Console;

namespace BytePort.Cli.Deployments;

/// <summary>Sends a folder or an archive to the server.</summary>
internal static class Uploader
{
    public static async Task<SourceRequest> SendAsync(CliHost host, ApiClient client, DeploySource source, bool quiet, CancellationToken cancellationToken)
    {
        if (source is GitSource git)
            return new(new(git.Url, git.Ref), null);

        var (bytes, what, create) = await PrepareAsync(source, cancellationToken);
        var upload = await client.PostAsync("api/v1/uploads", System.Net.Http.Json.JsonContent.Create(new(), ApiJson.Default.EmptyRequest), ApiJson.Default.Upload, cancellationToken);
        await WithProgressAsync(host, $"Sending {what}", bytes, quiet, async progress =>
        {
            using var content = create(progress);
            await client.UploadAsync(upload.Url, content, cancellationToken);
        });
        return new(null, new(upload.Id));
    }

    private static async Task<(long Bytes, string What, Func<Action<long>, UploadContent> Create)> PrepareAsync(DeploySource source, CancellationToken cancellationToken)
    {
        if (source is ArchiveSource archive)
        {
            var length = new FileInfo(archive.Path).Length;
            return (length, $"{Path.GetFileName(archive.Path)}, {Age.Bytes(length)}", progress => UploadContent.FromArchive(archive.Path, progress));
        }

        var folder = await PackedFolder.ListAsync(((FolderSource)source).Path, cancellationToken);
        var files = folder.Files.Count == 1 ? "1 file" : $"{folder.Files.Count} files";
        return (folder.Bytes, $"{files}, {Age.Bytes(folder.Bytes)}", progress => UploadContent.FromFolder(folder, progress));
    }

    private static async Task WithProgressAsync(CliHost host, string title, long bytes, bool quiet, Func<Action<long>, Task> work)
    {
        if (quiet || !host.Colors)
        {
            if (!quiet)
                host.Note(title);
            await work(_ => { });
            return;
        }

        await host.ErrorConsole.Progress()
            .HideCompleted(false)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn { Width = 30 }, new PercentageColumn(), new TransferSpeedColumn())
            .StartAsync(async context =>
            {
                var task = context.AddTask(title.EscapeMarkup(), maxValue: Math.Max(1, bytes));
                await work(sent => task.Increment(sent));
                task.Value = task.MaxValue;
            });
    }
}
