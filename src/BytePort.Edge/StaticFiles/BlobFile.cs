using System.Buffers;
using System.IO.Pipelines;
using Microsoft.Win32.SafeHandles;

namespace BytePort.Edge.StaticFiles;

/// <summary>Content that is too large to be kept in memory.</summary>
internal static class BlobFile
{
    /// <summary>Large enough that a system call's cost does not show, small enough for many slow visitors at once.</summary>
    private const int BufferBytes = 64 << 10;

    /// <exception cref="IOException">It cannot be opened, or has not the length that the site's index says.</exception>
    public static SafeFileHandle Open(Representation representation)
    {
        var file = File.OpenHandle(representation.BlobPath, options: FileOptions.Asynchronous | FileOptions.SequentialScan);
        var actual = RandomAccess.GetLength(file);
        if (actual == representation.Length)
            return file;
        file.Dispose();
        throw new IOException($"The file {representation.BlobPath} has {actual} bytes, its site's index says {representation.Length}. Deploy the site again.");
    }

    public static async Task CopyAsync(SafeFileHandle file, ByteRange range, PipeWriter to, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            for (var position = range.First; position <= range.Last;)
            {
                var want = (int)Math.Min(BufferBytes, range.Last + 1 - position);
                var read = await RandomAccess.ReadAsync(file, buffer.AsMemory(0, want), position, cancellationToken).ConfigureAwait(false);
                if (read == 0)
                    throw new IOException($"The content ended at {position}, expected {range.Last + 1} bytes.");
                await to.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
                position += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
