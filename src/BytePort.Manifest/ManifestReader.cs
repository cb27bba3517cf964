using BytePort.Manifest.Shapes;
using BytePort.Manifest.Yaml;

namespace BytePort.Manifest;

/// <summary>Reads and checks <c>byteport.yaml</c>.</summary>
public static class ManifestReader
{
    /// <summary>The largest manifest, in bytes of UTF-8.</summary>
    public const int MaxBytes = 256 * 1024;

    /// <summary>Reads a manifest and collects every error in it; the text may come from anybody.</summary>
    /// <param name="text">YAML 1.2, at most <see cref="MaxBytes"/>, nested at most 16 deep.</param>
    /// <param name="fileName">What errors call the file.</param>
    public static ManifestResult Read(string text, string fileName = "byteport.yaml")
    {
        ArgumentNullException.ThrowIfNull(text);
        var errors = new ErrorList(fileName);
        ProjectManifest? manifest = null;
        if (YamlReader.Read(text, MaxBytes, errors) is { } root)
            manifest = ManifestShape.Read(root, errors);
        return errors.Count > 0 ? new(null, errors.ToSortedList()) : new(manifest ?? new(), []);
    }

    /// <summary>Reads the manifest of a folder.</summary>
    /// <returns>Null when the folder has none.</returns>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static async Task<ManifestResult?> ReadFolderAsync(string folder, CancellationToken cancellationToken)
    {
        foreach (var name in ProjectManifest.FileNames)
        {
            var path = Path.Combine(folder, name);
            if (File.Exists(path))
                return await ReadFileAsync(path, name, cancellationToken);
        }

        return null;
    }

    /// <summary>Reads one file; <paramref name="fileName"/> is what errors call it.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static async Task<ManifestResult> ReadFileAsync(string path, string fileName, CancellationToken cancellationToken)
    {
        // A limit on what is read, not on what the file system says: the file may grow or be a pipe.
        await using var stream = File.OpenRead(path);
        var buffer = new byte[MaxBytes + 1];
        var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        if (length > MaxBytes)
            return new(null, [new(fileName, 1, 1, $"The manifest is larger than {MaxBytes / 1024} KiB.", "Keep data out of it.")]);
        return Read(new System.Text.UTF8Encoding(false).GetString(buffer, 0, length), fileName);
    }
}
