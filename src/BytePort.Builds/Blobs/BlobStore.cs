using System.Security.Cryptography;

namespace BytePort.Builds.Blobs;

/// <summary>
/// Content-addressed files: <c>sha256/ab/abcd…</c> under one folder. Content is written aside, synced, renamed, and its
/// folder synced, so a name always means the whole content. Safe for any number of threads and processes at once.
/// </summary>
public sealed class BlobStore
{
    private static readonly TimeSpan LeftoverAge = TimeSpan.FromDays(1);

    private readonly string _blobs;
    private readonly string _notes;
    private readonly TimeProvider _time;

    /// <param name="folder">Absolute path; made when missing.</param>
    public BlobStore(string folder, TimeProvider? time = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        Folder = Path.GetFullPath(folder);
        _time = time ?? TimeProvider.System;
        _blobs = Path.Combine(Folder, "sha256");
        _notes = Path.Combine(Folder, "notes");
        Aside = Path.Combine(Folder, "aside");
        Directory.CreateDirectory(Aside);
        for (var i = 0; i < 256; i++)
        {
            Directory.CreateDirectory(Path.Combine(_blobs, i.ToString("x2", null)));
            Directory.CreateDirectory(Path.Combine(_notes, i.ToString("x2", null)));
        }
    }

    public string Folder { get; }

    /// <summary>Folder on the blobs' own file system for files that are moved in later.</summary>
    internal string Aside { get; }

    /// <summary>Where a blob's file is (or would be): never changed once it exists.</summary>
    /// <exception cref="ArgumentException">Not 64 lower-case hexadecimal digits.</exception>
    public string GetPath(string digest) =>
        Digests.IsValid(digest)
            ? Path.Combine(_blobs, digest[..2], digest)
            : throw new ArgumentException($"'{digest}' is no SHA-256 digest in lower-case hexadecimal.", nameof(digest));

    public bool Exists(string digest) => File.Exists(GetPath(digest));

    /// <summary>Stores a stream's content, durably.</summary>
    /// <param name="limit">The most bytes taken.</param>
    /// <exception cref="BlobTooLargeException">The stream holds more than the limit; nothing is kept.</exception>
    public async Task<Blob> PutAsync(Stream content, long limit, CancellationToken cancellationToken)
    {
        using var batch = new BlobBatch(this);
        var blob = await batch.AddAsync(content, limit, cancellationToken);
        batch.Commit();
        return blob;
    }

    public async Task<Blob> PutAsync(ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        using var batch = new BlobBatch(this);
        var blob = await batch.AddAsync(content, cancellationToken);
        batch.Commit();
        return blob;
    }

    /// <summary>Stores a file by moving it where the file system allows, else by copying; the file is gone afterwards.</summary>
    public async Task<Blob> MoveInAsync(string path, CancellationToken cancellationToken)
    {
        Blob blob;
        await using (var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read, 0, useAsync: true))
        {
            blob = new Blob(Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken)), file.Length);
            file.Flush(flushToDisk: true);
        }

        if (!Touch(blob.Digest))
        {
            var target = GetPath(blob.Digest);
            // File.Move copies between file systems, which would show a half-written blob under its name: go by the aside folder.
            var aside = NewAside();
            File.Move(path, aside);
            FileSync.SyncFileSystem(Aside);
            File.Move(aside, target, overwrite: true);
            FileSync.SyncDirectory(Path.GetDirectoryName(target)!);
        }

        File.Delete(path);
        return blob;
    }

    /// <exception cref="FileNotFoundException">There is no such blob.</exception>
    public FileStream Open(string digest) =>
        new(GetPath(digest), FileMode.Open, FileAccess.Read, FileShare.Read, 64 * 1024, useAsync: true);

    /// <summary>All blobs, in no order.</summary>
    public IEnumerable<StoredBlob> Enumerate() =>
        new DirectoryInfo(_blobs)
            .EnumerateFiles("*", SearchOption.AllDirectories)
            .Where(file => Digests.IsValid(file.Name))
            .Select(file => new StoredBlob(file.Name, file.Length, file.LastWriteTimeUtc));

    /// <summary>
    /// Removes blobs that are not referenced and were not stored (again) since <paramref name="before"/>: choose it
    /// earlier than the start of the oldest running build. Leftovers of interrupted writes go too. Returns the bytes freed.
    /// </summary>
    public long RemoveUnreferenced(IReadOnlySet<string> referenced, DateTimeOffset before)
    {
        ArgumentNullException.ThrowIfNull(referenced);
        long freed = 0;
        foreach (var blob in Enumerate().Where(blob => blob.StoredAt < before && !referenced.Contains(blob.Digest)))
        {
            File.Delete(GetPath(blob.Digest));
            File.Delete(NotePath(blob.Digest));
            freed += blob.Size;
        }

        var old = (_time.GetUtcNow() - LeftoverAge).UtcDateTime;
        foreach (var file in new DirectoryInfo(Aside).EnumerateFiles().Where(file => file.LastWriteTimeUtc < old))
        {
            freed += file.Length;
            file.Delete();
        }

        return freed;
    }

    /// <summary>
    /// True when the blob exists. Its time is renewed, so that a collection that runs meanwhile keeps it: callers
    /// rely on a blob they were told is there.
    /// </summary>
    internal bool Touch(string digest)
    {
        var path = GetPath(digest);
        try
        {
            // Renewing costs a write of the inode; once an hour is enough against a collection that spares days.
            var now = _time.GetUtcNow().UtcDateTime;
            var stored = File.GetLastWriteTimeUtc(path);
            if (stored.Year < 1700)
                return false;
            if (now - stored > TimeSpan.FromHours(1))
                File.SetLastWriteTimeUtc(path, now);
            return true;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
    }

    /// <summary>What was derived from a blob, to save deriving it again; null when nothing is known. Never the only copy.</summary>
    internal string? ReadNote(string digest)
    {
        try
        {
            return File.ReadAllText(NotePath(digest));
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Not synced: a note that a power cut takes is derived again.</summary>
    internal void WriteNote(string digest, string text)
    {
        var aside = NewAside();
        File.WriteAllText(aside, text);
        File.Move(aside, NotePath(digest), overwrite: true);
    }

    internal string NewAside() => Path.Combine(Aside, Guid.NewGuid().ToString("N"));

    private string NotePath(string digest) => Path.Combine(_notes, digest[..2], digest);
}

/// <param name="StoredAt">When it was last stored, within an hour.</param>
public sealed record StoredBlob(string Digest, long Size, DateTimeOffset StoredAt);
