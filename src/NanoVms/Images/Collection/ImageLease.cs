using System.Text;

namespace NanoVms.Images.Collection;

/// <summary>
/// Keeps images from being removed while somebody takes them into use: from asking the store for one until the machine that stands on
/// it has a state file. Ends with this process too. Thread safe.
/// </summary>
/// <remarks>A locked file in the store with a line for each file that is used; the kernel frees the lock when the process dies.</remarks>
public sealed class ImageLease : IDisposable
{
    private readonly StoreGate _gate;
    private readonly TimeProvider _time;
    private readonly string _store;
    private readonly string _path;
    private readonly Lock _writing = new();
    private FileStream? _file;
    private bool _ended;

    internal ImageLease(string store, StoreGate gate, TimeProvider time)
    {
        (_store, _gate, _time) = (store, gate, time);
        _path = Path.Combine(FolderOf(store), Guid.NewGuid().ToString("N"));
    }

    public void Dispose()
    {
        lock (_writing)
        {
            _ended = true;
            if (_file is null)
                return;
            File.Delete(_path);
            _file.Dispose();
            _file = null;
        }
    }

    /// <summary>What all processes use now. Those of processes that died are removed. Only for who holds the gate alone.</summary>
    internal static HashSet<string> ReadAll(string store)
    {
        var used = new HashSet<string>(StringComparer.Ordinal);
        if (!Directory.Exists(FolderOf(store)))
            return used;
        foreach (var path in Directory.EnumerateFiles(FolderOf(store)).ToList())
        {
            try
            {
                // Only the dead leave one that nobody holds.
                using (new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, 0))
                    File.Delete(path);
            }
            catch (FileNotFoundException)
            {
                // Its holder was quicker.
            }
            catch (IOException)
            {
                used.UnionWith(ReadLines(path));
            }
        }

        return used;
    }

    /// <summary>Uses files of the store, if all of them are still there; renews their time.</summary>
    internal async Task<bool> TryUseAsync(IEnumerable<string> files, CancellationToken cancellationToken)
    {
        using var entered = await _gate.EnterAsync(cancellationToken);
        var paths = files.ToList();
        if (!paths.TrueForAll(File.Exists))
            return false;
        lock (_writing)
        {
            ObjectDisposedException.ThrowIf(_ended, this);
            if (_file is null)
            {
                _ = Directory.CreateDirectory(FolderOf(_store));
                _file = new FileStream(_path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite, 0);
            }

            _file.Write(Encoding.UTF8.GetBytes(string.Concat(paths.Select(path => path + "\n"))));
        }

        var now = _time.GetUtcNow().UtcDateTime;
        foreach (var path in paths)
            File.SetLastWriteTimeUtc(path, now);
        return true;
    }

    private static string FolderOf(string store) => Path.Combine(store, "leases");

    private static string[] ReadLines(string path)
    {
        try
        {
            using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
        catch (FileNotFoundException)
        {
            return [];
        }
    }
}
