using NanoVms.Commands;

namespace NanoVms.Images;

public enum LayerCompression
{
    /// <summary>Fastest to read and to make.</summary>
    None = 0,

    /// <summary>Quick to make, about half the size.</summary>
    Lz4,

    /// <summary>Slower to make than <see cref="Lz4"/>, a tenth smaller, as quick to read.</summary>
    Lz4Hc,
}

/// <summary>
/// Packs folders as EROFS. Equal content gives equal bytes: times, identifiers and (when asked) owners are fixed.
/// </summary>
public static class LayerPacker
{
    private const string NoId = "00000000-0000-0000-0000-000000000000";
    private static readonly TimeSpan Timeout = TimeSpan.FromMinutes(10);

    /// <summary>Packs a folder's content under a prefix of the image, owned by the given user.</summary>
    /// <param name="directory">
    /// Not changed. Beside it a folder of hard links is made for a moment, so its own parent must be writable.
    /// </param>
    /// <param name="outputFile">Must not exist; on failure it is gone.</param>
    /// <exception cref="CommandException">mkfs.erofs failed.</exception>
    public static async Task PackAsync(
        string directory, string outputFile, LayerOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Prefix.Length == 0)
        {
            await RunAsync(Command(directory, outputFile, options.Compression, (options.Uid, options.Gid)), outputFile, cancellationToken);
            return;
        }

        if (options.Prefix.Contains('/', StringComparison.Ordinal) || options.Prefix is "." or "..")
            throw new ArgumentException($"'{options.Prefix}' is no single name.", nameof(options));

        // mkfs.erofs cannot place a folder below the image's root: it gets one in which the folder has its place.
        var full = Path.GetFullPath(directory).TrimEnd('/');
        if (Path.GetFileName(full) == options.Prefix && Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(full)!).Take(2).Count() == 1)
        {
            await RunAsync(Command(Path.GetDirectoryName(full)!, outputFile, options.Compression, (options.Uid, options.Gid)), outputFile, cancellationToken);
            return;
        }

        var staging = $"{full}.layer-{Guid.NewGuid():N}";
        try
        {
            var place = Path.Combine(staging, options.Prefix);
            Directory.CreateDirectory(staging);
            await CommandRunner.RunCheckedAsync(
                new Command("cp", "--archive", "--link", "--no-target-directory", "--", full, place) { Timeout = Timeout }, cancellationToken);
            await RunAsync(Command(staging, outputFile, options.Compression, (options.Uid, options.Gid)), outputFile, cancellationToken);
        }
        finally
        {
            if (Directory.Exists(staging))
                Directory.Delete(staging, recursive: true);
        }
    }

    /// <summary>Packs a whole root file system, owners as they are.</summary>
    internal static Task PackRootAsync(string directory, string outputFile, LayerCompression compression, CancellationToken cancellationToken) =>
        RunAsync(Command(directory, outputFile, compression, null), outputFile, cancellationToken);

    /// <summary>A layer of an image: owners, devices and extended attributes as they are.</summary>
    internal static Task PackImageAsync(string directory, string outputFile, CancellationToken cancellationToken) =>
        RunAsync(
            new Command("mkfs.erofs", "--quiet", "-T0", "-U", NoId, outputFile, directory) { Timeout = Timeout }, outputFile, cancellationToken);

    internal static Command Command(string directory, string outputFile, LayerCompression compression, (uint Uid, uint Gid)? owner)
    {
        List<string> arguments = ["--quiet", "-T0", "-U", NoId, "-x-1"];
        if (compression != LayerCompression.None)
            arguments.Add(compression == LayerCompression.Lz4 ? "-zlz4" : "-zlz4hc,9");
        if (owner is var (uid, gid))
            arguments.AddRange([$"--force-uid={uid}", $"--force-gid={gid}"]);
        return new Command("mkfs.erofs", [.. arguments, outputFile, directory]) { Timeout = Timeout };
    }

    private static async Task RunAsync(Command command, string outputFile, CancellationToken cancellationToken)
    {
        try
        {
            await CommandRunner.RunCheckedAsync(command, cancellationToken);
        }
        catch
        {
            File.Delete(outputFile);
            throw;
        }
    }
}
