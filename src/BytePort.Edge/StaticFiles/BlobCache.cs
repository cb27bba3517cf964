using System.Collections.Concurrent;
using Microsoft.Extensions.Options;

namespace BytePort.Edge.StaticFiles;

/// <summary>
/// Contents of small files in memory, shared by all sites, within a fixed number of bytes. A hit is one field read. Room
/// is made by the clock algorithm: a hand goes around and drops what was not used since it last passed.
/// </summary>
internal sealed class BlobCache(IOptions<EdgeOptions> options)
{
    private readonly long _capacity = options.Value.CacheBytes;
    private readonly long _maxFile = Math.Min(options.Value.CacheFileBytes, options.Value.CacheBytes);
    private readonly ConcurrentDictionary<string, CachedBlob> _blobs = new(StringComparer.Ordinal);
    private readonly Queue<CachedBlob> _clock = new();
    private readonly Lock _lock = new();
    private long _bytes;

    /// <summary>Bytes held now.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    public bool Takes(Representation representation) => representation.Length <= _maxFile;

    /// <summary>The content when it is in memory.</summary>
    public static byte[]? TryGet(Representation representation)
    {
        if (representation.Cached is not { Content: { } content } blob)
            return null;
        if (!blob.Used)
            blob.Used = true;
        return content;
    }

    /// <summary>The content, read from its file at the first use; requests that come meanwhile wait for the same read.</summary>
    /// <exception cref="IOException">It cannot be read, or has not the length that the site's index says.</exception>
    public async Task<byte[]> GetAsync(Representation representation, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (TryGet(representation) is { } content)
                return content;
            var blob = _blobs.GetOrAdd(representation.BlobPath, static path => new CachedBlob(path));
            try
            {
                content = await blob.ReadAsync(representation.Length).WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                _blobs.TryRemove(new KeyValuePair<string, CachedBlob>(representation.BlobPath, blob));
                throw;
            }

            if (Keep(blob, content))
            {
                representation.Cached = blob;
                return content;
            }
        }
    }

    /// <returns>False when the blob was dropped meanwhile: a new one has to be made, or two would be counted.</returns>
    private bool Keep(CachedBlob blob, byte[] content)
    {
        lock (_lock)
        {
            if (blob.Dropped)
                return false;

            // Not marked as used: a file that is asked for once must not outlive one that is asked for again.
            if (blob.Content is not null)
                return true;
            MakeRoom(content.Length);
            blob.Content = content;
            _clock.Enqueue(blob);
            _bytes += content.Length;
            return true;
        }
    }

    private void MakeRoom(int bytes)
    {
        while (_bytes + bytes > _capacity && _clock.TryDequeue(out var oldest))
        {
            if (oldest.Used)
            {
                oldest.Used = false;
                _clock.Enqueue(oldest);
                continue;
            }

            _bytes -= oldest.Content?.Length ?? 0;
            oldest.Drop();
            _blobs.TryRemove(new KeyValuePair<string, CachedBlob>(oldest.Path, oldest));
        }
    }
}

/// <summary>One content in the cache.</summary>
internal sealed class CachedBlob(string path)
{
    private readonly Lock _lock = new();
    private Task<byte[]>? _read;

    public string Path { get; } = path;

    /// <summary>Null until read, and again once dropped.</summary>
    public byte[]? Content { get; set; }

    /// <summary>Read since the clock's hand last passed. Races only cost a little precision.</summary>
    public bool Used { get; set; }

    public bool Dropped { get; private set; }

    public void Drop()
    {
        Dropped = true;
        Content = null;
        _read = null;
    }

    public Task<byte[]> ReadAsync(long length)
    {
        lock (_lock)
            return _read ??= ReadFileAsync(length);
    }

    /// <summary>Not canceled by one request's end: others may wait for it, and it is small.</summary>
    private async Task<byte[]> ReadFileAsync(long length)
    {
        using var file = File.OpenHandle(Path, options: FileOptions.Asynchronous);
        var actual = RandomAccess.GetLength(file);
        if (actual != length)
            throw new IOException($"The file {Path} has {actual} bytes, its site's index says {length}. Deploy the site again.");
        var content = GC.AllocateUninitializedArray<byte>((int)length);
        for (var read = 0; read < content.Length;)
        {
            var count = await RandomAccess.ReadAsync(file, content.AsMemory(read), read, CancellationToken.None).ConfigureAwait(false);
            if (count == 0)
                throw new IOException($"The file {Path} ended at {read} of {length} bytes. Deploy the site again.");
            read += count;
        }

        return content;
    }
}
