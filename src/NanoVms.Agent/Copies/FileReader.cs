using System.Text;
using NanoVms.Agent.Archives;
using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Copies;

/// <summary>
/// Makes an archive of a file or a folder, a piece at a time. It stays on one file system, leaves out what is neither file, folder nor
/// symbolic link, and what vanishes while it reads.
/// </summary>
internal sealed unsafe class FileReader
{
    private const int MaxDepth = 200;

    private readonly Stack<Level> _levels = new();
    private readonly ulong _device;
    private byte[] _ready = [];
    private int _readyTaken;
    private int _file = -1;
    private long _size;
    private long _left;
    private bool _ended;

    /// <param name="path">Absolute. A link as its last name is followed.</param>
    public FileReader(string path)
    {
        var latin = Latin(path).TrimEnd('/');
        var name = latin.Length == 0 ? "." : latin[(latin.LastIndexOf('/') + 1)..];
        if (!FileInfo.TryRead(Libc.AT_FDCWD, latin + "/.", 0, out var info) && !FileInfo.TryRead(Libc.AT_FDCWD, latin, 0, out info))
            throw AgentFailure.Of($"cannot read {path}");
        if (!info.IsFile && !info.IsDirectory)
            throw new AgentFailure($"{path} is neither a file nor a folder");
        _device = info.Device;
        var fd = Files.TryOpen(path, Libc.O_RDONLY | Libc.O_NONBLOCK);
        if (fd < 0)
            throw AgentFailure.Of($"cannot read {path}");
        if (info.IsFile)
        {
            (_file, _size, _left) = (fd, info.Size, info.Size);
            _ready = TarWriter.Head(Entry(TarKind.File, name, info));
            return;
        }

        _ready = TarWriter.Head(Entry(TarKind.Directory, name + "/", info));
        _levels.Push(new Level(fd, name + "/", Folder.List(fd)));
    }

    /// <summary>The next bytes of the archive.</summary>
    /// <returns>How many; 0 at its end.</returns>
    public int Read(Span<byte> target)
    {
        var count = 0;
        while (count < target.Length)
        {
            var taken = TakeReady(target[count..]);
            if (taken == 0)
                taken = TakeFile(target[count..]);
            count += taken;
            if (taken == 0 && !Advance())
                break;
        }

        return count;
    }

    public void Close()
    {
        if (_file >= 0)
            _ = Libc.Close(_file);
        _file = -1;
        while (_levels.TryPop(out var level))
            _ = Libc.Close(level.Fd);
    }

    private int TakeReady(Span<byte> target)
    {
        var count = Math.Min(_ready.Length - _readyTaken, target.Length);
        _ready.AsSpan(_readyTaken, count).CopyTo(target);
        _readyTaken += count;
        return count;
    }

    private int TakeFile(Span<byte> target)
    {
        if (_file < 0)
            return 0;
        var wanted = (int)Math.Min(_left, target.Length);
        nint count = 0;
        if (wanted > 0)
        {
            // SAFETY: the read stays within the pinned range.
            fixed (byte* start = target)
                count = Libc.Read(_file, start, (nuint)wanted);
            // A file that became shorter is filled up: its head has said how long it is.
            if (count <= 0)
            {
                target[..wanted].Clear();
                count = wanted;
            }

            _left -= count;
        }

        if (_left > 0)
            return (int)count;
        _ = Libc.Close(_file);
        _file = -1;
        (_ready, _readyTaken) = (new byte[TarWriter.Padding(_size)], 0);
        return (int)count;
    }

    /// <summary>Gets the next entry ready, or the end.</summary>
    /// <returns>False when all was read.</returns>
    private bool Advance()
    {
        if (_file >= 0 || _readyTaken < _ready.Length)
            return true;
        if (_ended)
            return false;
        while (_levels.TryPeek(out var level))
        {
            if (level.Next < level.Names.Count)
            {
                if (TryOpen(level, level.Names[level.Next++]))
                    return true;
                continue;
            }

            _ = Libc.Close(level.Fd);
            _levels.Pop();
        }

        (_ready, _readyTaken, _ended) = (TarWriter.End, 0, true);
        return true;
    }

    private bool TryOpen(Level level, string name)
    {
        var path = level.Path + name;
        if (!FileInfo.TryRead(level.Fd, name, Libc.AT_SYMLINK_NOFOLLOW, out var info))
            return false;
        if (info.IsLink)
        {
            if (TryReadLink(level.Fd, name) is not { } target)
                return false;
            (_ready, _readyTaken) = (TarWriter.Head(Entry(TarKind.SymbolicLink, path, info) with { Link = target }), 0);
            return true;
        }

        if (!info.IsFile && !(info.IsDirectory && info.Device == _device))
            return false;
        if (info.IsDirectory && _levels.Count >= MaxDepth)
            throw new AgentFailure($"{path} lies more than {MaxDepth} folders deep");
        int fd;
        // SAFETY: the name is pinned and ends in a zero.
        fixed (byte* at = Folder.Name(name))
            fd = Libc.OpenAt(level.Fd, at, Libc.O_RDONLY | Libc.O_NOFOLLOW | Libc.O_NONBLOCK | Libc.O_CLOEXEC, 0);
        if (fd < 0)
            return Errno.Last is Errno.ENOENT or Errno.ELOOP ? false : throw AgentFailure.Of($"cannot read {path}");
        if (info.IsFile)
        {
            (_file, _size, _left) = (fd, info.Size, info.Size);
            (_ready, _readyTaken) = (TarWriter.Head(Entry(TarKind.File, path, info)), 0);
            return true;
        }

        _levels.Push(new Level(fd, path + "/", Folder.List(fd)));
        (_ready, _readyTaken) = (TarWriter.Head(Entry(TarKind.Directory, path + "/", info)), 0);
        return true;
    }

    private static string? TryReadLink(int folder, string name)
    {
        const int MaxLink = 4096;
        var target = stackalloc byte[MaxLink];
        // SAFETY: the name is pinned and ends in a zero; the buffer has the length that is passed.
        fixed (byte* at = Folder.Name(name))
        {
            var length = Libc.ReadLinkAt(folder, at, target, MaxLink);
            return length <= 0 ? null : Encoding.Latin1.GetString(target, (int)length);
        }
    }

    private static TarEntry Entry(TarKind kind, string path, FileInfo info) =>
        new(kind, path, kind == TarKind.File ? info.Size : 0, info.Mode & 0xFFF, info.User, info.Group, info.Modified);

    private static string Latin(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));

    /// <summary>A folder that is being read, and how far.</summary>
    private sealed class Level(int fd, string path, List<string> names)
    {
        public int Fd => fd;

        public string Path => path;

        public List<string> Names => names;

        public int Next { get; set; }
    }
}
