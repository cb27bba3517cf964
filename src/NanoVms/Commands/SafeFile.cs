using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Commands;

/// <summary>Small files that are whole or absent after a crash at any moment.</summary>
internal static partial class SafeFile
{
    private const int MaxBytes = 4 * 1024 * 1024;

    /// <summary>Writes aside, syncs, renames and syncs the folder.</summary>
    public static void WriteJson<T>(string path, T value, JsonTypeInfo<T> type) => Write(path, stream => JsonSerializer.Serialize(stream, value, type));

    /// <inheritdoc cref="WriteJson"/>
    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>Null when the file is missing, too large or not this JSON.</summary>
    public static T? ReadJson<T>(string path, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            using var stream = File.OpenRead(path);
            return stream.Length > MaxBytes ? null : JsonSerializer.Deserialize(stream, type);
        }
        catch (Exception e) when (e is IOException or JsonException or NotSupportedException)
        {
            return null;
        }
    }

    private static void Write(string path, Action<Stream> write)
    {
        var aside = path + ".new";
        using (var stream = new FileStream(aside, new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            write(stream);
            stream.Flush(flushToDisk: true);
        }

        File.Move(aside, path, overwrite: true);
        SyncFolder(Path.GetDirectoryName(path)!);
    }

    private static void SyncFolder(string folder)
    {
        using var handle = Open(folder, 0x80000);
        if (!handle.IsInvalid)
            _ = Sync(handle);
    }

    // Both return -1 with errno on failure; a file system that cannot sync folders keeps the order by itself.
    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Sync(SafeFileHandle file);
}
