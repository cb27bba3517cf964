using BytePort.Manifest.Shapes;
using BytePort.Manifest.Toml;

namespace BytePort.Manifest.Hac;

/// <summary>Reads and checks <c>hac.toml</c>.</summary>
public static class HacReader
{
    /// <summary>The largest file, in bytes.</summary>
    public const int MaxBytes = 64 * 1024;

    /// <summary>Reads a file and collects every error in it; the bytes may come from anybody.</summary>
    /// <param name="utf8">TOML 1.0, at most <see cref="MaxBytes"/>.</param>
    /// <param name="fileName">What errors call the file.</param>
    public static HacResult Read(ReadOnlySpan<byte> utf8, string fileName = HacFile.FileName)
    {
        if (utf8.Length > MaxBytes)
            return TooLarge(fileName);
        var errors = new ErrorList(fileName);
        HacFile? file = null;
        try
        {
            file = HacSections.Read(TomlReader.Read(utf8), errors);
        }
        catch (TomlException exception)
        {
            // What follows an error of syntax means nothing, so it is the only one.
            errors.Add(exception.Location, exception.Message, exception.Suggestion);
        }

        return errors.Count > 0 ? new(null, errors.ToSortedList()) : new(file, []);
    }

    /// <summary>Reads one file; <paramref name="fileName"/> is what errors call it.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static async Task<HacResult> ReadFileAsync(string path, string fileName, CancellationToken cancellationToken)
    {
        // A limit on what is read, not on what the file system says: the file may grow or be a pipe.
        await using var stream = File.OpenRead(path);
        var buffer = new byte[MaxBytes + 1];
        var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        return Read(buffer.AsSpan(0, length), fileName);
    }

    private static HacResult TooLarge(string fileName) =>
        new(null, [new(fileName, 1, 1, $"The file is larger than {MaxBytes / 1024} KiB.", "Keep data out of it.")]);
}
