namespace BytePort.Server.Hosting;

/// <summary>Replaces a file so that a reader, or a start after a crash, sees the old content or the new, never a part.</summary>
internal static class SafeFile
{
    /// <summary>Writes aside, synchronises, renames. Only the owner may read the file.</summary>
    public static async Task WriteAsync(string path, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var aside = path + ".new";
        File.Delete(aside);
        await using (var file = new FileStream(aside, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            await file.WriteAsync(content, cancellationToken);
            file.Flush(flushToDisk: true);
        }

        File.Move(aside, path, true);
    }
}
