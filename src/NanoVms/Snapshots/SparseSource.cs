using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Snapshots;

/// <summary>A sparse file to be copied: one by itself, or one of an incremental snapshot, which leaves to its parent's what they share.</summary>
internal sealed partial class SparseSource : ISparseSource, IDisposable
{
    /// <summary>What is compared, copied and left to the parent, in bytes.</summary>
    public const int Granule = 64 << 10;

    /// <summary>Behind the name of a file: its granules that are the parent's, a bit each, the lowest first.</summary>
    private const string MapSuffix = ".shared";

    private const int SeekData = 3;
    private const int SeekHole = 4;
    private const int NoData = 6;

    private readonly SafeFileHandle _file;
    private readonly byte[] _shared;
    private readonly SparseSource? _parent;
    private readonly bool _owns;

    /// <param name="file">Stays the caller's.</param>
    public SparseSource(SafeFileHandle file)
        : this(file, [], null, owns: false)
    {
    }

    private SparseSource(SafeFileHandle file, byte[] shared, SparseSource? parent, bool owns)
    {
        (_file, _shared, _parent, _owns) = (file, shared, parent, owns);
        Length = RandomAccess.GetLength(file);
    }

    public long Length { get; }

    /// <summary>False when a part of it is in a parent's file.</summary>
    public bool IsWhole => _parent is null;

    /// <summary>Opens a snapshot's file with those of its parents.</summary>
    /// <exception cref="IOException">One of them is missing.</exception>
    /// <exception cref="SnapshotException">A parent is missing or damaged.</exception>
    public static SparseSource Open(string folder, string name) => Open(folder, name, SnapshotManifest.MaxDepth);

    /// <summary>Writes down which granules are the parent's; nothing when none is.</summary>
    /// <param name="file">The path of the file that has the others.</param>
    public static void WriteMap(string file, byte[] shared)
    {
        if (!shared.AsSpan().ContainsAnyExcept((byte)0))
            return;
        using var map = File.OpenHandle(file + MapSuffix, FileMode.CreateNew, FileAccess.Write);
        RandomAccess.Write(map, shared, 0);
        RandomAccess.FlushToDisk(map);
    }

    /// <summary>Bytes of a map of a file of this length.</summary>
    public static int MapLength(long length) => (int)(((length + Granule - 1) / Granule) + 7) / 8;

    /// <summary>Room that a file takes on the disk.</summary>
    public static long AllocatedBytes(string path)
    {
        using var file = File.OpenHandle(path);
        var (bytes, end) = (0L, RandomAccess.GetLength(file));
        var hole = 0L;
        while (hole < end && Seek(file, hole, SeekData) is >= 0 and var data && Seek(file, data, SeekHole) is var next && next > data)
            (bytes, hole) = (bytes + next - data, next);
        return bytes;
    }

    /// <inheritdoc/>
    public long NextData(long offset)
    {
        var own = NextOwn(offset);
        own -= own == long.MaxValue ? 0 : own % Granule;
        for (var at = offset; _parent is not null && at < own && at < Length; at += Granule)
            if (IsShared(at))
                return at;
        return own;
    }

    /// <inheritdoc/>
    public void Read(Span<byte> buffer, long offset)
    {
        if (IsShared(offset))
        {
            _parent!.Read(buffer, offset);
            return;
        }

        var count = 0;
        while (count < buffer.Length)
        {
            var read = RandomAccess.Read(_file, buffer[count..], offset + count);
            if (read == 0)
                throw new EndOfStreamException("The file became shorter while it was copied.");
            count += read;
        }
    }

    public void Dispose()
    {
        _parent?.Dispose();
        if (_owns)
            _file.Dispose();
    }

    private static SparseSource Open(string folder, string name, int depth)
    {
        var path = Path.Combine(folder, name);
        var file = File.OpenHandle(path);
        SparseSource? parent = null;
        try
        {
            if (!File.Exists(path + MapSuffix))
                return new SparseSource(file, [], null, owns: true);
            if (depth == 0 || SnapshotManifest.Read(folder).ParentFolder(folder) is not { } parentFolder)
                throw new SnapshotException($"Snapshot {folder} is damaged: it says nothing of the one that it builds on.");
            parent = OpenParent(folder, parentFolder, name, depth);
            var shared = File.ReadAllBytes(path + MapSuffix);
            if (shared.Length != MapLength(RandomAccess.GetLength(file)) || parent.Length != RandomAccess.GetLength(file))
                throw new SnapshotException($"Snapshot {folder} is damaged: '{name}' does not fit the one that it builds on.");
            return new SparseSource(file, shared, parent, owns: true);
        }
        catch
        {
            parent?.Dispose();
            file.Dispose();
            throw;
        }
    }

    private static SparseSource OpenParent(string folder, string parentFolder, string name, int depth)
    {
        try
        {
            return Open(parentFolder, name, depth - 1);
        }
        catch (IOException e)
        {
            throw new SnapshotException($"Snapshot {folder} cannot be read: it builds on {parentFolder}, and {e.Message}", e);
        }
    }

    private bool IsShared(long offset)
    {
        var granule = offset / Granule;
        return granule / 8 < _shared.Length && (_shared[granule / 8] & (1 << (int)(granule % 8))) != 0;
    }

    private long NextOwn(long offset)
    {
        var found = Seek(_file, offset, SeekData);
        if (found >= 0)
            return found;
        // A file system that knows no holes says so by another error: everything is data there.
        return Marshal.GetLastPInvokeError() == NoData ? long.MaxValue : offset;
    }

    /// <summary>lseek(2): an offset, or -1 with ENXIO behind the last data. The file's own position is used by nobody here.</summary>
    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long Seek(SafeFileHandle file, long offset, int whence);
}
