using System.Text;
using NanoVms.Agent.Archives;
using NanoVms.Machines;

namespace NanoVms.Agent.Copies;

/// <summary>
/// Lays a guest's archive into a folder of the host, as if an enemy had made it: nothing outside of the folder is touched, nothing
/// is followed, and no more is written than allowed.
/// </summary>
/// <remarks>
/// Entries belong to this process's user, without the special bits of modes. Links are made last, so that no entry can be written
/// through one, and only such as stay inside.
/// </remarks>
/// <param name="target">What the archive's one top entry becomes; its parent folder must be there.</param>
/// <param name="name">The top entry's name that was asked for.</param>
internal sealed class FolderWriter(string target, string name, CopyLimits limits) : TarParser, IDisposable
{
    private const int MaxDepth = 256;
    private const int MaxSkipped = 100;
    private const int MaxNameBytes = 255;
    private const int MaxLinkLength = 16 * 1024 * 1024;
    private const UnixFileMode Permissions = (UnixFileMode)0x1FF;
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnerFolder = OwnerFile | UnixFileMode.UserExecute;
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly List<(string Path, string Link)> _links = [];
    private readonly List<string> _skipped = [];
    private FileStream? _file;
    private DateTimeOffset _modified;
    private UnixFileMode _mode;
    private int _entries;
    private int _linkLength;
    private long _bytes;

    /// <summary>After the archive's end.</summary>
    public CopyResult Finish()
    {
        End();
        if (_entries == 0 && _skipped.Count == 0)
            throw new InvalidDataException("The archive is empty.");
        foreach (var (path, link) in _links)
        {
            Clear(path);
            File.CreateSymbolicLink(path, link);
        }

        return new CopyResult(_entries, _bytes, _skipped);
    }

    public void Dispose() => _file?.Dispose();

    protected override void OnEntry(TarEntry entry)
    {
        // Skipped ones count too: each costs time.
        if (++_entries > limits.MaxEntries)
            throw new InvalidDataException($"The archive has more than {limits.MaxEntries} entries.");
        var parts = Parts(Decode(entry.Path));
        var path = parts.Count == 0 ? target : Path.Combine(target, Path.Combine([.. parts]));
        switch (entry.Kind)
        {
            case TarKind.Directory:
                MakeFolders(parts);
                File.SetUnixFileMode(path, Mode(entry) | OwnerFolder);
                break;
            case TarKind.File:
                if (entry.Size > limits.MaxBytes - _bytes)
                    throw new InvalidDataException($"The archive's files have more than {limits.MaxBytes} bytes.");
                MakeFolders(parts[..Math.Max(parts.Count - 1, 0)], isParent: parts.Count > 0);
                Clear(path);
                _file = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerFile });
                (_mode, _modified) = (Mode(entry) | OwnerFile, Time(entry.Modified));
                break;
            case TarKind.SymbolicLink when parts.Count > 0 && StaysInside(entry.Link, parts.Count - 1):
                MakeFolders(parts[..^1]);
                _linkLength += path.Length + entry.Link.Length;
                if (_linkLength > MaxLinkLength)
                    throw new InvalidDataException($"The archive's links have more than {MaxLinkLength} characters.");
                _links.Add((path, Decode(entry.Link)));
                break;
            default:
                Skip(entry);
                break;
        }
    }

    protected override void OnData(ReadOnlySpan<byte> data)
    {
        _file!.Write(data);
        _bytes += data.Length;
    }

    protected override void OnFileEnd()
    {
        File.SetUnixFileMode(_file!.SafeFileHandle, _mode);
        _file.Flush();
        File.SetLastWriteTimeUtc(_file.SafeFileHandle, _modified.UtcDateTime);
        _file.Dispose();
        _file = null;
    }

    /// <summary>
    /// Whether a link in a folder so deep can only lead into the copy: up no further than the copy's top, and then only down. A way up
    /// after a way down is refused, because what is down there may be a link too.
    /// </summary>
    private static bool StaysInside(string link, int depth)
    {
        if (link.Length == 0 || link[0] == '/')
            return false;
        var down = false;
        foreach (var part in link.Split('/'))
        {
            if (part is "" or ".")
                continue;
            if (part != "..")
                down = true;
            else if (down || --depth < 0)
                return false;
        }

        return true;
    }

    private static string Decode(string latin)
    {
        try
        {
            var text = Strict.GetString(Encoding.Latin1.GetBytes(latin));
            return text.Contains('\0', StringComparison.Ordinal) ? throw new InvalidDataException("The archive has a name with a zero byte.") : text;
        }
        catch (DecoderFallbackException)
        {
            throw new InvalidDataException("The archive has a name that is not UTF-8, which this computer cannot write.");
        }
    }

    private static UnixFileMode Mode(TarEntry entry) => (UnixFileMode)entry.Mode & Permissions;

    private static DateTimeOffset Time(long seconds) =>
        DateTimeOffset.FromUnixTimeSeconds(Math.Clamp(seconds, 0, DateTimeOffset.MaxValue.ToUnixTimeSeconds()));

    /// <summary>The names below the top.</summary>
    private List<string> Parts(string path)
    {
        var parts = path.TrimEnd('/').Split('/').ToList();
        if (parts[0] != name)
            throw new InvalidDataException($"The archive holds '{Shown(path)}', which was not asked for.");
        parts.RemoveAt(0);
        if (parts.Count > MaxDepth || parts.Any(p => p is "" or "." or ".." || Encoding.UTF8.GetByteCount(p) > MaxNameBytes))
            throw new InvalidDataException($"The archive holds '{Shown(path)}', which is no name below a folder.");
        return parts;
    }

    /// <summary>Makes folders that are missing, and refuses to go through a link, whoever made it.</summary>
    private void MakeFolders(List<string> parts, bool isParent = true)
    {
        if (!isParent)
            return;
        var path = target;
        MakeFolder(path);
        foreach (var part in parts)
        {
            path = Path.Combine(path, part);
            MakeFolder(path);
        }
    }

    private static void MakeFolder(string path)
    {
        var info = new DirectoryInfo(path);
        if (info.LinkTarget is not null)
            throw new InvalidDataException($"{path} is a link, so nothing is written below it: remove it or choose another folder.");
        if (info.Exists)
            return;
        if (File.Exists(path))
            File.Delete(path);
        Directory.CreateDirectory(path, OwnerFolder);
    }

    /// <summary>Removes a file or a link, not what it leads to.</summary>
    private static void Clear(string path)
    {
        var info = new DirectoryInfo(path);
        if (info is { Exists: true, LinkTarget: null })
            throw new InvalidDataException($"{path} is a folder, which is not replaced by a file.");
        File.Delete(path);
    }

    private void Skip(TarEntry entry)
    {
        if (_skipped.Count < MaxSkipped)
            _skipped.Add(Shown(Decode(entry.Path)));
    }

    private static string Shown(string path) =>
        string.Concat((path.Length > 200 ? path[..200] : path).Select(c => char.IsControl(c) ? ' ' : c));
}
