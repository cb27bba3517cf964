using System.CommandLine;
using System.Net.Http.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Login;
using BytePort.Cli.Terminal;
using BytePort.Manifest;

namespace BytePort.Cli.Images;

/// <summary><c>image</c>: what machines stand on, of this computer as a whole.</summary>
internal static class ImageCommand
{
    private const string Path = "api/v1/images";

    // Hashing and deleting many gigabytes on a slow disk.
    private static readonly TimeSpan CollectTime = TimeSpan.FromMinutes(30);

    public static Command Create(CliHost host) => new("image", "Stacks, images of registries, kernels: what machines stand on.")
    {
        CreateList(host),
        MakeCommands.CreatePull(host),
        MakeCommands.CreateBuild(host),
        CreateRemove(host),
        CreatePin(host),
        CreateUnpin(host),
        CreateCollect(host),
    };

    public static Argument<string> CreateReference() => new("REF") { Description = "The image, as image ls lists it." };

    private static Command CreateList(CliHost host)
    {
        var command = new Command("ls", "List the images, and what needs them.");
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var list = await client.GetAsync(Path, ApiJson.Default.ImageList, cancellationToken);
            if (arguments.Json)
                host.Json(list.Items, ApiJson.Default.IReadOnlyListImage);
            else if (list.Items.Count == 0)
                host.Note("No images yet. Deploying makes what it needs; or: byteport image build node@22");
            else
                host.Table(["KIND", "REFERENCE", "DIGEST", "SIZE", "USED", "NEEDED BY"], list.Items.Select(image => (string[])
                [
                    image.Kind,
                    image.Reference,
                    ShortDigest(image.Digest),
                    Age.Bytes(image.Size),
                    Age.Since(image.LastUsed, host.Time),
                    string.Join(", ", (image.Pinned ? ["pinned"] : Array.Empty<string>()).Concat(image.NeededBy)),
                ]));
            foreach (var problem in list.Problems ?? [])
                host.Note(problem);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateRemove(CliHost host)
    {
        var reference = CreateReference();
        var command = new Command("rm", "Remove an image, unless something needs it.") { reference };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var removed = await client.DeleteAsync(With(Path, arguments.GetValue(reference)!), ApiJson.Default.ImageCollection, cancellationToken);
            return Show(host, arguments, removed);
        });
        return command;
    }

    private static Command CreatePin(CliHost host)
    {
        var reference = CreateReference();
        var command = new Command("pin", "Keep an image, whoever needs it.") { reference };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            using var content = JsonContent.Create(new PinRequest(arguments.GetValue(reference)!), ApiJson.Default.PinRequest);
            var pins = await client.PostAsync($"{Path}/pins", content, ApiJson.Default.ImagePins, cancellationToken);
            if (arguments.Json)
                host.Json(pins, ApiJson.Default.ImagePins);
            else
                host.Note($"Pinned {string.Join(", ", pins.References)}.");
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateUnpin(CliHost host)
    {
        var reference = CreateReference();
        var command = new Command("unpin", "Let an image go once nothing needs it.") { reference };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            using var client = Connection.Open(host);
            var name = arguments.GetValue(reference)!;
            await client.SendAsync(HttpMethod.Delete, With($"{Path}/pins", name), cancellationToken);
            if (arguments.Json)
                host.Json(new ImagePins([]), ApiJson.Default.ImagePins);
            else
                host.Note($"Unpinned {name}.");
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateCollect(CliHost host)
    {
        var dryRun = new Option<bool>("--dry-run") { Description = "Say what would go, and remove nothing." };
        var olderThan = new Option<string?>("--older-than") { HelpName = "TIME", Description = "How long something must not have been used, such as 12h or 7d; by default 1d, at least 10m." };
        var command = new Command("gc", "Remove what nothing needs and nothing has used for a while.") { dryRun, olderThan };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            long? seconds = null;
            if (arguments.GetValue(olderThan) is { } text)
                seconds = Duration.TryParse(text, out var age) ? (long)age.TotalSeconds : throw new CliException(ExitCode.Usage, $"--older-than is '{text}'; write it as 12h, 7d or 30m.");
            using var client = Connection.Open(host);
            using var content = JsonContent.Create(new CollectRequest(arguments.GetValue(dryRun), seconds), ApiJson.Default.CollectRequest);
            return Show(host, arguments, await client.PostAsync($"{Path}/gc", content, ApiJson.Default.ImageCollection, CollectTime, cancellationToken));
        });
        return command;
    }

    private static ExitCode Show(CliHost host, CommandArguments arguments, ImageCollection collection)
    {
        if (arguments.Json)
        {
            host.Json(collection, ApiJson.Default.ImageCollection);
            return ExitCode.Ok;
        }

        if (collection.Items.Count > 0)
            host.Table(["KIND", "FREED", "NAME"], collection.Items.Select(item => (string[])[item.Kind, item.Bytes == 0 ? "" : Age.Bytes(item.Bytes), item.Name]));
        host.Note($"{(collection.DryRun ? "Would free" : "Freed")} {Age.Bytes(collection.Bytes)}.");
        return ExitCode.Ok;
    }

    private static string With(string path, string reference) => $"{path}?reference={Uri.EscapeDataString(reference)}";

    private static string ShortDigest(string digest) => digest.StartsWith("sha256:", StringComparison.Ordinal) && digest.Length > 19 ? digest[..19] : digest.Length > 16 ? digest[..16] : digest;
}
