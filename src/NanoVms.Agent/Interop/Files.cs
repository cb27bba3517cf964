using System.Text;

namespace NanoVms.Agent.Interop;

/// <summary>
/// The few file operations the agent needs, straight on system calls: System.IO would bring its thread pool, its strategies and
/// half a megabyte into every guest.
/// </summary>
internal static unsafe class Files
{
    /// <summary>The text as C wants it.</summary>
    public static byte[] Path(string path) => Encoding.UTF8.GetBytes(path + "\0");

    public static int TryOpen(string path, int flags, uint mode = 0)
    {
        // SAFETY: the array is pinned for the call and ends in a zero.
        fixed (byte* name = Path(path))
            return Libc.Open(name, flags | Libc.O_CLOEXEC, mode);
    }

    /// <summary>The file's start, up to so many bytes; empty when it cannot be read.</summary>
    public static string TryReadText(string path, int max = 64 * 1024)
    {
        var fd = TryOpen(path, Libc.O_RDONLY);
        if (fd < 0)
            return "";
        var bytes = new byte[max];
        var length = 0;
        // SAFETY: reads stay within the pinned array.
        fixed (byte* start = bytes)
        {
            while (length < max)
            {
                var count = Libc.Read(fd, start + length, (nuint)(max - length));
                if (count <= 0)
                    break;
                length += (int)count;
            }
        }

        _ = Libc.Close(fd);
        return Encoding.UTF8.GetString(bytes, 0, length);
    }

    /// <summary>Replaces the file itself, not what it may be a link to.</summary>
    public static void Write(string path, string text, uint mode = 0x1A4)
    {
        TryUnlink(path);
        if (!TryWrite(path, text, Libc.O_CREAT | Libc.O_TRUNC | Libc.O_NOFOLLOW, mode))
            throw AgentFailure.Of($"cannot write {path}");
    }

    /// <summary>As <see cref="Write"/>, into a file that is there, which takes less; one that is no file is replaced.</summary>
    public static void Overwrite(string path, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        // Not waiting for the other end of a pipe, which is no file and cannot be cut.
        var fd = TryOpen(path, Libc.O_WRONLY | Libc.O_NOFOLLOW | Libc.O_NONBLOCK);
        var isWritten = false;
        if (fd >= 0)
        {
            // SAFETY: the length is the array's.
            fixed (byte* start = bytes)
                isWritten = Libc.Truncate(fd, bytes.Length) == 0 && Libc.Write(fd, start, (nuint)bytes.Length) == bytes.Length;
            _ = Libc.Close(fd);
        }

        if (!isWritten)
            Write(path, text);
    }

    /// <summary>Writes into a file that exists, such as those of /proc/sys.</summary>
    public static bool TryWrite(string path, string text, int flags = 0, uint mode = 0)
    {
        var fd = TryOpen(path, Libc.O_WRONLY | flags, mode);
        if (fd < 0)
            return false;
        var bytes = Encoding.UTF8.GetBytes(text);
        nint written = 0;
        // SAFETY: writes stay within the pinned array.
        fixed (byte* start = bytes)
        {
            while (written < bytes.Length)
            {
                var count = Libc.Write(fd, start + written, (nuint)(bytes.Length - written));
                if (count < 0)
                    break;
                written += count;
            }
        }

        _ = Libc.Close(fd);
        return written == bytes.Length;
    }

    public static bool TryUnlink(string path)
    {
        // SAFETY: as in TryOpen.
        fixed (byte* name = Path(path))
            return Libc.Unlink(name) == 0;
    }

    public static bool TryRename(string path, string target)
    {
        // SAFETY: as in TryOpen.
        fixed (byte* from = Path(path), to = Path(target))
            return Libc.Rename(from, to) == 0;
    }

    public static bool Exists(string path)
    {
        // SAFETY: as in TryOpen.
        fixed (byte* name = Path(path))
            return Libc.Access(name, 0) == 0;
    }

    public static bool IsExecutable(string path)
    {
        // SAFETY: as in TryOpen.
        fixed (byte* name = Path(path))
            return Libc.Access(name, 1) == 0 && !IsDirectory(path);
    }

    public static bool IsDirectory(string path)
    {
        var fd = TryOpen(path, Libc.O_RDONLY | Libc.O_DIRECTORY);
        if (fd >= 0)
            _ = Libc.Close(fd);
        return fd >= 0;
    }

    public static void MakeDirectory(string path, uint mode = 0x1ED)
    {
        // SAFETY: as in TryOpen.
        fixed (byte* name = Path(path))
        {
            if (Libc.MakeDirectory(name, mode) != 0 && Errno.Last != Errno.EEXIST)
                throw AgentFailure.Of($"cannot make the folder {path}");
        }
    }

    public static bool TryMakeDirectory(string path, uint mode = 0x1ED)
    {
        // SAFETY: as in TryOpen.
        fixed (byte* name = Path(path))
            return Libc.MakeDirectory(name, mode) == 0;
    }

    public static void Link(string target, string path)
    {
        TryUnlink(path);
        // SAFETY: as in TryOpen.
        fixed (byte* to = Path(target), name = Path(path))
        {
            if (Libc.SymbolicLink(to, name) != 0)
                throw AgentFailure.Of($"cannot make the link {path}");
        }
    }

    public static void ChangeOwner(string path, uint user, uint group)
    {
        // SAFETY: as in TryOpen.
        fixed (byte* name = Path(path))
            _ = Libc.ChangeOwner(name, user, group);
    }

    public static void ChangeMode(string path, uint mode)
    {
        // SAFETY: as in TryOpen.
        fixed (byte* name = Path(path))
            _ = Libc.ChangeMode(name, mode);
    }

    /// <summary>The names in a folder, but for those that start with a dot; none when it is not there.</summary>
    public static List<string> List(string path)
    {
        const int NameOffset = 19;
        var names = new List<string>();
        // SAFETY: an entry is valid until the next call; its name ends in a zero.
        fixed (byte* name = Path(path))
        {
            var directory = Libc.OpenDirectory(name);
            if (directory is null)
                return names;
            for (var entry = Libc.ReadDirectory(directory); entry is not null; entry = Libc.ReadDirectory(directory))
            {
                if (entry[NameOffset] != '.')
                    names.Add(new string((sbyte*)entry + NameOffset));
            }

            _ = Libc.CloseDirectory(directory);
        }

        return names;
    }

    public static bool TryMount(string source, string target, string type, nuint flags, string options)
    {
        // SAFETY: as in TryOpen.
        fixed (byte* from = Path(source), to = Path(target), name = Path(type), data = Path(options))
            return Libc.Mount(from, to, name, flags, data) == 0;
    }

    public static void Mount(string source, string target, string type, nuint flags = 0, string options = "")
    {
        if (!TryMount(source, target, type, flags, options))
            throw AgentFailure.Of($"cannot mount {source} ({type}) on {target}");
    }
}
