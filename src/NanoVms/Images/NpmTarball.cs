using System.Formats.Tar;
using System.IO.Compression;

namespace NanoVms.Images;

/// <summary>Unpacks what is wanted of an npm package: regular files below its one folder.</summary>
internal static class NpmTarball
{
    private const UnixFileMode Mode644 = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private const UnixFileMode Mode755 = Mode644 | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private const long MaxBytes = 1L << 30;

    /// <param name="place">Gives for a path within the package the path to write to, or null to leave it out.</param>
    public static async Task ExtractAsync(string tarball, Func<string, string?> place, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(tarball);
        await using var gzip = new GZipStream(file, CompressionMode.Decompress);
        await using var reader = new TarReader(gzip);
        long size = 0;
        while (await reader.GetNextEntryAsync(copyData: false, cancellationToken) is { } entry)
        {
            if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile) || entry.DataStream is not { } content)
                continue;
            size += entry.Length;
            if (size > MaxBytes)
                throw new ImageException($"The package {Path.GetFileName(tarball)} is larger than {MaxBytes >> 20} MiB unpacked.");

            // The first folder is "package" by custom, not by rule.
            var slash = entry.Name.IndexOf('/', StringComparison.Ordinal);
            var inside = entry.Name[(slash + 1)..];
            if (slash < 1 || inside.Length == 0 || inside.StartsWith('/') || inside.Split('/').Contains(".."))
                throw new ImageException($"The package {Path.GetFileName(tarball)} holds the malformed entry '{entry.Name}'.");
            if (place(inside) is not { } target)
                continue;
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            await using var output = new FileStream(target, new FileStreamOptions
            {
                Mode = FileMode.Create,
                Access = FileAccess.Write,
                UnixCreateMode = (entry.Mode & UnixFileMode.UserExecute) != 0 ? Mode755 : Mode644,
            });
            await content.CopyToAsync(output, cancellationToken);
        }
    }
}
