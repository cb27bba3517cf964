using System.Formats.Tar;
using System.IO.Compression;
using System.Net;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Packing;

/// <summary>A request body that is written as it is made, without a temporary file.</summary>
internal sealed class UploadContent : HttpContent
{
    private const UnixFileMode Readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Executable = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private readonly Func<Stream, CancellationToken, Task> _write;
    private readonly long? _length;

    private UploadContent(Func<Stream, CancellationToken, Task> write, long? length)
    {
        _write = write;
        _length = length;
        Headers.ContentType = new("application/octet-stream");
    }

    /// <summary>A folder as tar.gz; <paramref name="progress"/> takes the bytes that were read since its last call.</summary>
    public static UploadContent FromFolder(PackedFolder folder, Action<long> progress) => new(
        async (stream, cancellationToken) =>
        {
            await using var compressed = new GZipStream(stream, CompressionLevel.Fastest, leaveOpen: true);
            await using var writer = new TarWriter(compressed, TarEntryFormat.Pax, leaveOpen: true);
            foreach (var file in folder.Files)
                await WriteAsync(writer, folder.Root, file, progress, cancellationToken);
        },
        null);

    /// <summary>An archive as it is.</summary>
    public static UploadContent FromArchive(string path, Action<long> progress) => new(
        async (stream, cancellationToken) =>
        {
            await using var file = Open(path, progress);
            await file.CopyToAsync(stream, cancellationToken);
        },
        new FileInfo(path).Length);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        await _write(stream, cancellationToken);

    protected override bool TryComputeLength(out long length)
    {
        length = _length ?? 0;
        return _length is not null;
    }

    private static FileStream Open(string path, Action<long> progress)
    {
        try
        {
            return new MeteredFile(path, progress);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Not an IOException: the HTTP client would take that for a broken connection.
            throw new CliException(ExitCode.Failed, $"Cannot read {path}: {exception.Message}");
        }
    }

    private static async Task WriteAsync(TarWriter writer, string root, PackedFile file, Action<long> progress, CancellationToken cancellationToken)
    {
        if (file.LinkTarget is not null)
        {
            await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.SymbolicLink, file.Path) { LinkName = file.LinkTarget, ModificationTime = DateTimeOffset.UnixEpoch }, cancellationToken);
            return;
        }

        await using var data = Open(Path.Combine(root, file.Path), progress);
        var executable = (File.GetUnixFileMode(data.SafeFileHandle) & UnixFileMode.UserExecute) != 0;
        await writer.WriteEntryAsync(
            new PaxTarEntry(TarEntryType.RegularFile, file.Path)
            {
                DataStream = data,
                Mode = executable ? Readable | Executable : Readable,

                // The same files give the same archive, whoever packs them and when.
                ModificationTime = DateTimeOffset.UnixEpoch,
            },
            cancellationToken);
    }

    /// <summary>A file that says how much of it was read.</summary>
    private sealed class MeteredFile(string path, Action<long> progress) : FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite)
    {
        public override async Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken)
        {
            var buffer = new byte[bufferSize];
            int read;
            while ((read = await ReadAsync(buffer, cancellationToken)) > 0)
                await destination.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await base.ReadAsync(buffer, cancellationToken);
            progress(read);
            return read;
        }
    }
}
