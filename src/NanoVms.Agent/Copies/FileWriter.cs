using NanoVms.Agent.Archives;
using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Copies;

/// <summary>Lays an archive's entries into a folder of the guest, with owners, modes and times. What is there and no folder is replaced.</summary>
internal sealed unsafe class FileWriter : TarParser
{
    private readonly int _root;
    private string? _parentPath;
    private int _parent = -1;
    private int _file = -1;
    private TarEntry? _entry;

    /// <param name="folder">Absolute; made when it is missing.</param>
    public FileWriter(string folder)
    {
        int top;
        // SAFETY: a literal that ends in a zero.
        fixed (byte* slash = "/\0"u8)
            top = Libc.OpenAt(Libc.AT_FDCWD, slash, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        _root = Folder.MakeInside(top, Latin(folder).Trim('/'));
        var failure = _root < 0 ? AgentFailure.Of($"cannot make the folder {folder}") : null;
        _ = Libc.Close(top);
        if (failure is not null)
            throw failure;
    }

    public void Close()
    {
        foreach (var fd in (ReadOnlySpan<int>)[_file, _parent, _root])
        {
            if (fd >= 0)
                _ = Libc.Close(fd);
        }

        (_file, _parent) = (-1, -1);
    }

    protected override void OnEntry(TarEntry entry)
    {
        var path = Clean(entry.Path);
        if (path.Length == 0)
            return;
        var slash = path.LastIndexOf('/');
        OpenParent(slash < 0 ? "" : path[..slash], entry);
        (_entry, var name) = (entry, path[(slash + 1)..]);
        // SAFETY: the name is pinned and ends in a zero.
        fixed (byte* at = Folder.Name(name))
        {
            if (entry.Kind == TarKind.Directory)
            {
                if (Libc.MakeDirectoryAt(_parent, at, 0x1C0) != 0 && (Errno.Last != Errno.EEXIST || !IsFolder(name)))
                    throw Cannot("make", entry);
                Dress(at, entry, 0);
                return;
            }

            // Not what it may be a link to.
            if (Libc.UnlinkAt(_parent, at, 0) != 0 && Errno.Last != Errno.ENOENT)
                throw Cannot("replace", entry);
            Make(at, entry);
        }
    }

    protected override void OnData(ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            nint count;
            // SAFETY: the range is pinned.
            fixed (byte* start = data)
                count = Libc.Write(_file, start, (nuint)data.Length);
            if (count < 0 && Errno.Last == Errno.EINTR)
                continue;
            if (count <= 0)
                throw Cannot("write", _entry!);
            data = data[(int)count..];
        }
    }

    protected override void OnFileEnd()
    {
        // SAFETY: an empty name with this flag is the file itself.
        fixed (byte* itself = "\0"u8)
        {
            _ = Libc.ChangeOwnerAt(_file, itself, _entry!.User, _entry.Group, Libc.AT_EMPTY_PATH);
            // After the owner, whose change takes the special bits away.
            if (Libc.ChangeMode(_file, _entry.Mode) != 0)
                throw Cannot("set the mode of", _entry);
            var times = stackalloc long[] { _entry.Modified, 0, _entry.Modified, 0 };
            _ = Libc.SetTimes(_file, times);
        }

        var closed = Libc.Close(_file);
        _file = -1;
        if (closed != 0)
            throw Cannot("write", _entry);
    }

    private void Make(byte* at, TarEntry entry)
    {
        switch (entry.Kind)
        {
            case TarKind.File:
                _file = Libc.OpenAt(_parent, at, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0x180);
                if (_file < 0)
                    throw Cannot("make", entry);
                return;
            case TarKind.SymbolicLink:
                fixed (byte* target = Folder.Name(entry.Link))
                {
                    if (Libc.SymbolicLinkAt(target, _parent, at) != 0)
                        throw Cannot("make", entry);
                }

                Dress(at, entry, Libc.AT_SYMLINK_NOFOLLOW);
                return;
            case TarKind.HardLink:
                MakeHardLink(at, entry);
                return;
            default:
                throw new AgentFailure($"{entry.Path} is a device or a pipe, which is not copied");
        }
    }

    private void MakeHardLink(byte* at, TarEntry entry)
    {
        var other = Folder.OpenInside(_root, Clean(entry.Link), Libc.O_PATH | Libc.O_NOFOLLOW);
        int made;
        // SAFETY: an empty name with this flag is the file itself.
        fixed (byte* itself = "\0"u8)
            made = other < 0 ? -1 : Libc.LinkAt(other, itself, _parent, at, Libc.AT_EMPTY_PATH);
        var failure = made == 0 ? null : Cannot("make", entry);
        if (other >= 0)
            _ = Libc.Close(other);
        if (failure is not null)
            throw failure;
    }

    private void Dress(byte* at, TarEntry entry, int flags)
    {
        if (Libc.ChangeOwnerAt(_parent, at, entry.User, entry.Group, Libc.AT_SYMLINK_NOFOLLOW) != 0
            || (flags == 0 && Libc.ChangeModeAt(_parent, at, entry.Mode, 0) != 0))
            throw Cannot("set owner and mode of", entry);
    }

    private void OpenParent(string path, TarEntry entry)
    {
        if (_parentPath == path)
            return;
        if (_parent >= 0)
            _ = Libc.Close(_parent);
        _parentPath = null;
        _parent = Folder.MakeInside(_root, path);
        if (_parent < 0)
            throw Cannot("reach the folder of", entry);
        _parentPath = path;
    }

    private bool IsFolder(string name) =>
        FileInfo.TryRead(_parent, name, Libc.AT_SYMLINK_NOFOLLOW, out var info) && info.IsDirectory;

    private static string Clean(string path)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var clean = "";
        foreach (var part in parts)
        {
            if (part == "..")
                throw new AgentFailure($"{path} leads out of the folder");
            if (part != ".")
                clean += (clean.Length == 0 ? "" : "/") + part;
        }

        return clean;
    }

    private static string Latin(string text) => System.Text.Encoding.Latin1.GetString(System.Text.Encoding.UTF8.GetBytes(text));

    private static AgentFailure Cannot(string what, TarEntry entry) => AgentFailure.Of($"cannot {what} {entry.Path}");
}
